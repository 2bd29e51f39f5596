"""Ends FFmpeg's waiting for the network at once when a stream is told to stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_PAST_ANY_TIMEOUT_S = 1e9


class _StoppableClock:
    """Stands in for the module `time` where PyAV asks it whether a timeout has passed.

    While FFmpeg waits it calls PyAV back every tenth of a second, in the thread that waits, and PyAV
    compares `time.monotonic()` with the timeout. That is all it asks: it has no way to be cancelled. In a
    thread whose stop event is set, time leaps, and whatever was waited for has timed out. Other threads,
    and other users of PyAV in this process, get the time as it is.
    """

    def __init__(self) -> None:
        self._threads = threading.local()

    def monotonic(self) -> float:
        """Return time.monotonic(), or a time that leaps with each call."""
        now_s = time.monotonic()
        stop: threading.Event | None = getattr(self._threads, "stop", None)
        if stop is None or not stop.is_set():
            return now_s
        self._threads.leaps += 1
        return now_s + self._threads.leaps * _PAST_ANY_TIMEOUT_S

    @contextmanager
    def stopping(self, stop: threading.Event) -> Iterator[None]:
        """Let the event end the waits of this thread."""
        self._threads.stop, self._threads.leaps = stop, 0
        try:
            yield
        finally:
            self._threads.stop = None


_clock = _StoppableClock()


@contextmanager
def stopped_by(stop: threading.Event) -> Iterator[None]:
    """Let an event end PyAV's waiting in this thread.

    Works for what FFmpeg waits for in its own loops: connecting, reading and writing sockets. Resolving a
    host's name is the system's and runs its time. Without effect, other than timeouts that take their time,
    if a later PyAV asks another clock: the tests of network streams tell.
    """
    import av.container.core

    av.container.core.time = _clock  # type: ignore[attr-defined]
    with _clock.stopping(stop):
        yield
