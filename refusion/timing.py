"""Where the time goes: durations of the stages of a run."""

from __future__ import annotations

import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class StageClock:
    """Collects how long each stage took, call by call. May be shared by threads."""

    def __init__(self) -> None:
        self._seconds: dict[str, list[float]] = defaultdict(list)
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
