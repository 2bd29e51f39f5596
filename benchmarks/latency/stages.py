"""A whole and its stages: what is between them, and whether their medians add up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from refusion.benchmarks.latency.samples import Samples

STAGES = ("decode a", "decode b", "pair", "upload", "pre", "network", "post", "download", "encode")
"""All that there may be, in order."""
TOLERANCE = 0.1
"""Stages add up to the whole if their medians do to so much of it."""


@dataclass(frozen=True)
class StagedSamples:
    """Calls of which the stages were timed, too. The stages of a call follow each other."""

    whole: Samples
    stages: dict[str, Samples]
    """As many values each as the whole has."""

    @classmethod
    def of(cls, whole: Samples, stages: Mapping[str, Samples | None]) -> StagedSamples:
        """Return them with the stages in order, less those that were not timed once a call."""
        timed = {name: stages[name] for name in STAGES if stages.get(name) is not None}
        return cls(whole, {name: samples for name, samples in timed.items() if samples is not None})

    @property
    def between(self) -> Samples:
        """What each call took beyond its stages: checks, copies of frames, the way from thread to thread."""
        parts = zip(*(samples.times_ms for samples in self.stages.values()), strict=True)
        rest = (all_ms - sum(part) for all_ms, part in zip(self.whole.times_ms, parts, strict=True))
        return Samples(tuple(rest), turns=self.whole.turns)

    @property
    def share(self) -> float:
        """The sum of the medians of the stages and of what is between them, as a share of the whole's."""
        return (sum(one.p50_ms for one in self.stages.values()) + self.between.p50_ms) / self.whole.p50_ms

    def as_json(self) -> dict[str, Any]:
        """Return what reports hold of the stages; the whole goes under a name of its own."""
        return {
            "stages": {name: samples.as_json() for name, samples in self.stages.items()},
            "between": self.between.as_json(),
            "stages_share": round(self.share, 4),
        }
