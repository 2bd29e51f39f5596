"""Where the time goes: durations of the stages of a run."""

from __future__ import annotations

import statistics
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager

# Calls of a stage that are kept: a stream that runs for months must not grow.
KEPT_CALLS = 4096


class StageClock:
    """Collects how long each stage took in its last 4096 calls. May be shared by threads."""

    def __init__(self) -> None:
        self._seconds: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=KEPT_CALLS))
        self._lock = threading.Lock()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block as one call of the stage."""
        started = time.perf_counter()
        yield
        elapsed = time.perf_counter() - started
        with self._lock:
            self._seconds[name].append(elapsed)

    def median_ms(self) -> dict[str, float]:
        """Return the median duration of each stage in milliseconds, in order of first use."""
        with self._lock:
            return {name: 1e3 * statistics.median(values) for name, values in self._seconds.items()}
