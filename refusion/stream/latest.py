"""The newest frame of a stream, for everyone who looks at it."""

from __future__ import annotations

import threading
import time

from refusion.stream.monitoring import StreamFrame


class Latest:
    """Keeps the newest frame; any number of threads may wait for a newer one."""

    def __init__(self) -> None:
        self._frame: StreamFrame | None = None
        self._has_ended = False
        self._changed = threading.Condition()

    def put(self, frame: StreamFrame) -> None:
        """Replace the frame and wake who waits."""
        with self._changed:
            self._frame = frame
            self._changed.notify_all()

    def end(self) -> None:
        """Wake who waits: no frame will come any more."""
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()

    def wait(self, after: int, timeout_s: float) -> StreamFrame | None:
        """Return the newest frame once its number is above `after`; None if none came in time, or will."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while self._frame is None or self._frame.index <= after:
                left = deadline - time.monotonic()
                if self._has_ended or left <= 0:
                    return None
                self._changed.wait(left)
            return self._frame
