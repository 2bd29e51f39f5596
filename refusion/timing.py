"""Where the time goes: durations of the stages of a run."""

from __future__ import annotations

import math
import statistics
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

# Calls of a stage that are kept: a stream that runs for months must not grow.
KEPT_CALLS = 4096


@dataclass(frozen=True)
class Percentiles:
    """Of the latest values of one quantity, milliseconds."""

    p50_ms: float
    p95_ms: float
    p99_ms: float

    @classmethod
    def of(cls, values_ms: Iterable[float]) -> Percentiles | None:
        """Return the percentiles by nearest rank; None of no values."""
        ordered = sorted(values_ms)
        if not ordered:
            return None
        ranks = (max(0, math.ceil(share * len(ordered)) - 1) for share in (0.5, 0.95, 0.99))
        return cls(*(ordered[rank] for rank in ranks))


class StageClock:
    """Collects how long each stage took in its last 4096 calls. May be shared by threads."""

    def __init__(self) -> None:
        self.times_device = False
        """Whether a GPU times upload, pre, network, post and download too. It costs two events and a launch
        more for each of them, so it is for benchmarks."""
        self._seconds: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=KEPT_CALLS))
        self._lock = threading.Lock()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block as one call of the stage."""
        started = time.perf_counter()
        yield
        self.add(name, time.perf_counter() - started)

    def add(self, name: str, seconds: float) -> None:
        """Count one call of the stage, or one value of another quantity, that was timed elsewhere."""
        with self._lock:
            self._seconds[name].append(seconds)

    def median_ms(self) -> dict[str, float]:
        """Return the median duration of each stage in milliseconds, in order of first use."""
        return {name: statistics.median(values_ms) for name, values_ms in self.calls_ms().items()}

    def calls_ms(self) -> dict[str, list[float]]:
        """Return the durations of the latest calls of each stage in milliseconds, in order of first use."""
        with self._lock:
            return {name: [1e3 * value for value in values] for name, values in self._seconds.items()}

    def percentiles(self, latest: int = KEPT_CALLS) -> dict[str, Percentiles]:
        """Return the percentiles of each stage over so many latest calls, in order of first use."""
        found = {name: Percentiles.of(values[-latest:]) for name, values in self.calls_ms().items()}
        return {name: percentiles for name, percentiles in found.items() if percentiles is not None}
