"""Times of repeated calls: taken in turns, and summarised."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from refusion.timing import Percentiles

_LONG_CALL_MS = 500.0
"""From here on a call does not feel what another one left in caches and spinning threads."""
_SETTLE_S = 0.05
"""Threads of other runtimes spin for some milliseconds after their last call."""


@dataclass(frozen=True)
class Samples:
    """Times of calls of one thing."""

    times_ms: tuple[float, ...]
    """By the clock on the wall."""
    processor_ms: tuple[float, ...] = ()
    """Of the processor, all threads of the process together; empty where other things ran meanwhile."""
    turns: tuple[int, ...] = ()
    """How many of the times are of each turn, in order; empty where there were no turns."""

    @property
    def p50_ms(self) -> float:
        """The median."""
        return float(np.median(self.times_ms))

    def as_json(self) -> dict[str, Any]:
        """Return the percentiles, then all times, as JSON holds them."""
        percentiles = Percentiles.of(self.times_ms)
        assert percentiles is not None
        summary: dict[str, Any] = {
            "p50_ms": round(self.p50_ms, 4),
            "p95_ms": round(percentiles.p95_ms, 4),
            "p99_ms": round(percentiles.p99_ms, 4),
            "max_ms": round(max(self.times_ms), 4),
            "calls": len(self.times_ms),
            "times_ms": [round(value, 4) for value in self.times_ms],
        }
        if self.processor_ms:
            summary["processor_p50_ms"] = round(float(np.median(self.processor_ms)), 4)
        if self.turns:
            summary["calls_per_turn"] = list(self.turns)
        return summary


@dataclass(frozen=True)
class Turns:
    """How calls take turns. Each is called once before anything is measured."""

    turns: int = 5
    least_s: float = 0.25
    """A turn lasts at least so long, or the most calls: quick calls are measured more often."""
    most_calls: int = 20

    def take(self, calls: Mapping[str, Callable[[], object]]) -> dict[str, Measured]:
        """Return the times of each call, by name.

        A turn of a quick call begins with 50 ms of calls that are not measured, for what others left behind.
        """
        measured = {name: Measured(call) for name, call in calls.items()}
        for one in measured.values():
            one.call()
        for _ in range(self.turns):
            for one in measured.values():
                one.take_turn(self.least_s, self.most_calls)
        return measured


@dataclass
class Measured:
    """A call, and how long it took."""

    run: Callable[[], object]
    calls: int = 0
    last_ms: float = 0.0
    numbers: list[int] = field(default_factory=list)
    """Which calls were measured, from 0."""
    times_ms: list[float] = field(default_factory=list)
    processor_ms: list[float] = field(default_factory=list)
    turns: list[int] = field(default_factory=list)

    @property
    def samples(self) -> Samples:
        """The times of the measured calls."""
        return Samples(tuple(self.times_ms), tuple(self.processor_ms), tuple(self.turns))

    def samples_of(self, values_ms: Sequence[float]) -> Samples | None:
        """Return the sums of the values that each measured call gave; None if calls gave differing numbers.

        Args:
            values_ms: Of all calls, in order, measured or not.
        """
        each, rest = divmod(len(values_ms), self.calls)
        if rest or not each:
            return None
        sums = (sum(values_ms[each * number : each * (number + 1)]) for number in self.numbers)
        return Samples(tuple(sums), turns=tuple(self.turns))

    def call(self) -> float:
        """Call once, note how long it took, and return the processor time, milliseconds."""
        processor_ns, start_ns = time.process_time_ns(), time.perf_counter_ns()
        self.run()
        self.last_ms = (time.perf_counter_ns() - start_ns) / 1e6
        self.calls += 1
        return (time.process_time_ns() - processor_ns) / 1e6

    def take_turn(self, least_s: float, most_calls: int) -> None:
        """Call and measure as Turns says."""
        settled_s = time.perf_counter() + (_SETTLE_S if self.last_ms < _LONG_CALL_MS else 0.0)
        while time.perf_counter() < settled_s:
            self.call()
        end_s = time.perf_counter() + least_s
        self.turns.append(0)
        for _ in range(most_calls):
            self.numbers.append(self.calls)
            self.processor_ms.append(self.call())
            self.times_ms.append(self.last_ms)
            self.turns[-1] += 1
            if time.perf_counter() >= end_s:
                return
