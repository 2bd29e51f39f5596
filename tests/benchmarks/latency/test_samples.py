"""Calls in turns, and their percentiles."""

from __future__ import annotations

import itertools
import time
from functools import partial

from refusion.benchmarks.latency.samples import Samples, Turns


def test_calls_take_turns_after_a_warm_up() -> None:
    order: list[str] = []

    def call(name: str) -> None:
        order.append(name)
        time.sleep(0.02)

    measured = Turns(2, least_s=1e9, most_calls=3).take({name: partial(call, name) for name in "ab"})
    # One of each, then turns: some that are not measured, and three that are.
    turns = [(name, len(list(calls))) for name, calls in itertools.groupby(order)]
    assert [name for name, _ in turns] == list("ab" * 3)
    assert [count for _, count in turns[:2]] == [1, 1]
    assert all(4 <= count <= 6 for _, count in turns[2:])
    numbers = measured["b"].numbers
    assert (len(numbers), numbers[-1]) == (6, measured["b"].calls - 1)
    assert numbers[0] >= 2
    values = list(range(measured["b"].calls))
    of_calls, of_halves = (measured["b"].samples_of(sorted(values * times)) for times in (1, 2))
    assert of_calls is not None
    assert of_calls.times_ms == tuple(numbers)
    assert of_halves is not None
    assert of_halves.times_ms == tuple(2 * number for number in numbers)
    assert measured["b"].samples_of(values[1:]) is None
    assert measured["b"].samples_of([]) is None
    assert measured["b"].samples.turns == of_calls.turns == (3, 3)


def test_a_turn_ends_when_its_time_is_over() -> None:
    measured = Turns(3, least_s=0.0, most_calls=9).take({"x": lambda: time.sleep(0.01)})["x"]
    assert len(measured.samples.times_ms) == 3


def test_a_long_call_needs_no_second_warm_up() -> None:
    measured = Turns(1, least_s=0.0).take({"x": lambda: time.sleep(0.51)})["x"]
    assert (measured.calls, measured.numbers) == (2, [1])
    (milliseconds,) = measured.samples.times_ms
    assert milliseconds >= 510


def test_percentiles_are_measured_values() -> None:
    found = Samples(tuple(float(value) for value in range(1, 201)), (4.0, 2.0)).as_json()
    assert (found["p50_ms"], found["p95_ms"], found["p99_ms"], found["max_ms"]) == (100.5, 190, 198, 200)
    assert (found["calls"], found["processor_p50_ms"]) == (200, 3.0)
