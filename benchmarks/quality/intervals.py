"""How sure the means are: intervals by bootstrap, and methods compared pair by pair."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from refusion.benchmarks.quality.measuring import Measured
from refusion.benchmarks.quality.methods import Kind
from refusion.metrics import METRICS, Direction

RESAMPLINGS = 2000
GOALS = tuple(metric.name for metric in METRICS.values() if metric.direction is Direction.HIGHER)
"""Metrics of which more is better: those that methods are compared by."""

_Values = NDArray[np.float64]


class Interval(NamedTuple):
    """The middle 95 % of the means of pairs drawn anew from the measured ones (bootstrap)."""

    low: float
    high: float


@dataclass(frozen=True)
class PairedDifference:
    """One metric of one method against another's on the same pairs."""

    mean: float
    """Of the differences; above 0 where the method has more."""
    interval: Interval
    won: int
    """Pairs on which the method has more."""
    pairs: int


@dataclass(frozen=True)
class Comparison:
    """One method against another on one set."""

    data: str
    """Title of the set."""
    method: str
    against: str
    differences: dict[str, PairedDifference]
    """By metric."""


def mean_intervals(measured: Measured) -> dict[str, Interval]:
    """Return the interval of each metric's mean."""
    values = _by_unit(measured, tuple(METRICS))
    return dict(zip(METRICS, _intervals(values), strict=True))


def comparisons(results: Sequence[Measured]) -> Iterator[Comparison]:
    """Compare every method with the official weights on each set; without these, with the first one."""
    for data in dict.fromkeys(one.data for one in results):
        of_set = [one for one in results if one.data is data]
        reference = next((one for one in of_set if one.kind is Kind.official), of_set[0])
        theirs = _by_unit(reference, GOALS)
        for one in of_set:
            if one is not reference:
                yield Comparison(
                    data.title, one.method, reference.method, _differences(_by_unit(one, GOALS) - theirs)
                )


def _differences(values: _Values) -> dict[str, PairedDifference]:
    return {
        name: PairedDifference(float(column.mean()), interval, int(np.count_nonzero(column > 0)), len(column))
        for name, column, interval in zip(GOALS, values.T, _intervals(values), strict=True)
    }


def _by_unit(measured: Measured, names: Sequence[str]) -> _Values:
    """Return (units, metrics): a unit is a pair, or a whole clip, whose frames are no independent samples."""
    values = np.array([[record.values[name] for name in names] for record in measured.records])
    if not measured.data.clips:
        return values
    clips = [record.name.rpartition("/")[0] for record in measured.records]
    return np.array([values[[clip == one for clip in clips]].mean(axis=0) for one in dict.fromkeys(clips)])


def _intervals(values: _Values) -> list[Interval]:
    """Return the interval of each column's mean."""
    units = len(values)
    drawn = np.random.default_rng(0).multinomial(units, np.full(units, 1 / units), size=RESAMPLINGS)
    low, high = np.percentile(drawn @ values / units, (2.5, 97.5), axis=0)
    return [Interval(float(one), float(other)) for one, other in zip(low, high, strict=True)]
