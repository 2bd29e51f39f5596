"""How many times longer one thing takes than another, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FEWEST_CALLS = 5
"""Of fewer, the interval says nothing."""
_FEWEST_TURNS = 3
"""Fewer turns are not drawn, but calls."""
_RESAMPLINGS = 2000


@dataclass(frozen=True)
class Ratio:
    """How many times longer one thing takes than another: the ratio of medians."""

    value: float
    low: float
    high: float
    """The middle 95 % of the ratios of samples drawn anew from the measured ones (bootstrap)."""


def ratio(
    numerator: Sequence[float],
    denominator: Sequence[float],
    *,
    numerator_turns: Sequence[int] = (),
    denominator_turns: Sequence[int] = (),
) -> Ratio:
    """Return the ratio of two medians with its interval.

    Whole turns are drawn: calls that follow each other resemble each other, and drawn one by one would make
    the interval too narrow. What differs between two runs of the benchmark and not between turns (another
    host, another build of a library) is in no interval.

    Args:
        numerator: Times.
        denominator: Likewise.
        numerator_turns: How many of the times are of each turn; empty: each is a turn of its own.
        denominator_turns: Likewise.
    """
    random = np.random.default_rng(0)
    above = _medians(np.asarray(numerator, np.float64), numerator_turns, random)
    below = _medians(np.asarray(denominator, np.float64), denominator_turns, random)
    low, high = np.percentile(above / below, (2.5, 97.5))
    return Ratio(float(np.median(numerator) / np.median(denominator)), float(low), float(high))


def samples_ratio(numerator: dict[str, Any], denominator: dict[str, Any]) -> Ratio:
    """Return the ratio of samples as a report holds them."""
    return ratio(
        numerator["times_ms"],
        denominator["times_ms"],
        numerator_turns=numerator.get("calls_per_turn", ()),
        denominator_turns=denominator.get("calls_per_turn", ()),
    )


def _medians(
    values: NDArray[np.float64], turns: Sequence[int], random: np.random.Generator
) -> NDArray[np.float64]:
    """Return medians of values whose turns were drawn anew, with replacement, as many as there are."""
    if len(turns) < _FEWEST_TURNS:
        turns = [1] * len(values)
    turn_of_value = np.repeat(np.arange(len(turns)), turns)
    order = np.argsort(values)
    drawn = random.multinomial(len(turns), np.full(len(turns), 1 / len(turns)), _RESAMPLINGS)
    # How often each value was drawn, in order of size: the median is where half of the draws are reached.
    counts = drawn[:, turn_of_value[order]]
    reached = counts.cumsum(axis=1)
    total = reached[:, -1:]
    low = np.argmax(2 * reached >= total, axis=1)
    high = np.argmax(2 * reached > total, axis=1)
    ordered = values[order]
    return np.asarray((ordered[low] + ordered[high]) / 2)
