"""A pair of frames in, a finished picture out: pre-processing, network and post-processing of one pair."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refusion.benchmarks.latency.contenders import Contender
from refusion.benchmarks.latency.executors import WITHOUT_NETWORK, FrameRunner, opened
from refusion.benchmarks.latency.network import noted
from refusion.benchmarks.latency.samples import Samples, Turns
from refusion.benchmarks.latency.skipped import Skipped
from refusion.stream.synthetic import SyntheticScene
from refusion.tasks import Task


@dataclass(frozen=True)
class FrameResult:
    """One contender on pairs of one size: gray and colour in, colour out, stretched."""

    title: str
    description: str
    size: tuple[int, int]
    stages: dict[str, Samples]
    """On a CPU: pre, network, post."""
    frame: Samples
    """From pair to picture: the stages and what is between them."""

    def as_json(self) -> dict[str, Any]:
        """Return the result as JSON holds it."""
        return {
            "title": self.title,
            "description": self.description,
            "size": list(self.size),
            "stages": {name: samples.as_json() for name, samples in self.stages.items()},
            "pre_and_post": None if self.around is None else self.around.as_json(),
            "frame": self.frame.as_json(),
        }

    @property
    def around(self) -> Samples | None:
        """Pre- and post-processing of each call together; None where they are not stages of their own."""
        if not {"pre", "post"} <= self.stages.keys():
            return None
        pre, post = self.stages["pre"].times_ms, self.stages["post"].times_ms
        return Samples(tuple(sum(both) for both in zip(pre, post, strict=True)))


def measure_frames(
    contenders: Sequence[Contender],
    task: Task,
    weights: Path | None,
    *,
    size: tuple[int, int],
    threads: int,
    turns: Turns,
    skipped: list[Skipped],
) -> list[FrameResult]:
    """Measure our backends in turns, and the stages around a network without one."""
    pair = SyntheticScene(width_px=size[0], height_px=size[1]).pair(0)
    with ExitStack() as stack:
        runners: list[FrameRunner] = []
        for contender in [None, *(one for one in contenders if one.baseline is None)]:
            title = WITHOUT_NETWORK if contender is None else contender.title
            with noted(skipped, title, size):
                runners.append(stack.enter_context(opened(contender, task, weights, threads)))
        measured = turns.take({one.title: functools.partial(one.fuse, pair) for one in runners})
        results = []
        for runner in runners:
            found = measured[runner.title]
            stages = {
                name: found.samples_of(values_ms)
                for name, values_ms in runner.clock.calls_ms().items()
                if len(values_ms) == found.calls
            }
            results.append(FrameResult(runner.title, runner.description, size, stages, found.samples))
    return results
