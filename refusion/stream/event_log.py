"""The latest changes of state of a stream's sources."""

from __future__ import annotations

import threading
import time
from collections import deque

from refusion.stream.moments import SourceEvent, SourceState
from refusion.stream.sources.addresses import without_password

_KEPT = 256


class EventLog:
    """Keeps the latest 256 events; any thread may add and read. Passwords are left out."""

    def __init__(self) -> None:
        self._events: deque[SourceEvent] = deque(maxlen=_KEPT)
        self._lock = threading.Lock()

    def note(self, source: str, state: SourceState, message: str) -> None:
        """Add a change of state that happens now."""
        event = SourceEvent(source, state, without_password(message), time.monotonic_ns())
        with self._lock:
            self._events.append(event)

    def latest(self) -> list[SourceEvent]:
        """Return the events, oldest first."""
        with self._lock:
            return list(self._events)
