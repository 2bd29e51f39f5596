"""Ratios of medians, with intervals that hold the true one."""

from __future__ import annotations

import numpy as np
import pytest

from refusion.benchmarks.latency.ratios import ratio, samples_ratio


@pytest.mark.parametrize(("factor", "told_apart"), [(1.0, False), (1.5, True)])
def test_an_interval_holds_the_true_ratio(factor: float, told_apart: bool) -> None:
    random = np.random.default_rng(3)
    found = ratio(factor * random.gamma(50, size=60), random.gamma(50, size=60))
    assert found.low < factor < found.high
    assert found.low < found.value < found.high
    assert (found.low > 1) is told_apart


def test_intervals_hold_the_true_ratio_as_often_as_they_say() -> None:
    """Of machines whose speed changes from turn to turn, of which the calls of a turn know nothing."""
    random = np.random.default_rng(5)
    turns = [10] * 8

    def times() -> list[float]:
        return list(np.repeat(random.normal(100, 5, len(turns)), turns) + random.normal(0, 0.5, sum(turns)))

    held = {False: 0, True: 0}
    for _ in range(40):
        above, below = times(), times()
        for with_turns in held:
            told = turns if with_turns else ()
            found = ratio(above, below, numerator_turns=told, denominator_turns=told)
            held[with_turns] += found.low <= 1 <= found.high
    assert held[True] >= 34
    # Calls drawn one by one are too sure.
    assert held[False] < 30


def test_an_exact_median_of_even_numbers() -> None:
    found = ratio([1.0, 3.0], [1.0])
    assert (found.value, found.low, found.high) == (2, 1, 3)


def test_samples_of_reports_may_have_no_turns() -> None:
    old, new = {"times_ms": [4.0, 4.0, 4.0]}, {"times_ms": [2.0, 2.0, 2.0], "calls_per_turn": [1, 1, 1]}
    assert samples_ratio(old, new).value == samples_ratio(old, new).low == 2
