"""Figures that are known: a run on the same data must give them, or is not to be trusted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from refusion.benchmarks.quality.classical import Baseline
from refusion.benchmarks.quality.measuring import Measured
from refusion.benchmarks.quality.methods import Kind
from refusion.metrics import METRICS, mean

TOLERANCE = 0.005
"""Largest relative difference of a mean that counts as agreement."""


@dataclass(frozen=True)
class KnownSet:
    """Means of one data set in the order of METRICS, measured independently of this package.

    The evaluator was another one (it agrees with that of CDDFuse to 2e-6), and so were the official
    network's pictures: those of the official script, stretched, gray.
    """

    sha256: str
    """Of the set, as `EvaluationSet.sha256` gives it: other pairs have other means."""
    official: tuple[float, ...]
    average: tuple[float, ...]


KNOWN_SETS = (
    KnownSet(  # TNO, 25 pairs
        "54d1221baec49364b6a3fb60ca6685a8f6b0c1ccef5e142a8b7ad80248b34bb6",
        official=(7.100, 43.77, 12.89, 4.859, 2.044, 1.732, 0.754, 0.552, 1.338, 1.016, 0.514),
        average=(6.233, 26.11, 6.95, 2.667, 1.602, 1.541, 0.573, 0.356, 1.457, 1.014, 0.565),
    ),
    KnownSet(  # RoadScene, 50 pairs
        "9005c04ca30a90c17dd10975392caaca7dbf4a289e68432382d0cae89b6dd4fe",
        official=(7.300, 47.69, 15.58, 5.770, 2.184, 1.735, 0.712, 0.583, 1.343, 0.953, 0.582),
        average=(6.449, 28.52, 7.53, 2.872, 1.997, 1.416, 0.570, 0.382, 1.477, 0.948, 0.632),
    ),
)


@dataclass(frozen=True)
class Check:
    """One method on one set against its known figures."""

    data: str
    """Title of the set."""
    method: str
    metric: str
    """The one that differs most."""
    difference: float
    """Of it, relative."""

    @property
    def agrees(self) -> bool:
        """Whether no metric differs by more than half a percent."""
        return abs(self.difference) <= TOLERANCE


def checks(results: Sequence[Measured], hashes: dict[str, str]) -> Iterator[Check]:
    """Compare what is known of the sets that were measured.

    Args:
        results: What was measured.
        hashes: SHA-256 of the sets, by name.
    """
    known_sets = {known.sha256: known for known in KNOWN_SETS}
    for one in results:
        known = known_sets.get(hashes[one.data.name])
        expected = None if known is None else _figures(known, one)
        if expected is not None:
            means = mean(one.records)
            differences = {
                name: means[name] / figure - 1 for name, figure in zip(METRICS, expected, strict=True)
            }
            largest = max(differences, key=lambda name: abs(differences[name]))
            yield Check(one.data.title, one.method, largest, differences[largest])


def _figures(known: KnownSet, measured: Measured) -> tuple[float, ...] | None:
    if measured.kind is Kind.official:
        return known.official
    return known.average if measured.method == Baseline.average.value.title else None
