"""A sink in a thread of its own, behind a bounded queue."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from refusion.stream.monitoring import StreamFrame
from refusion.stream.sinks import Sink

QUEUED_FRAMES = 4


class QueuedSink:
    """Feeds a sink from a thread of its own.

    Args:
        sink: Where frames go; it is closed at the end.
        name: For the thread.
        waits: Whether `put` waits where the queue is full (files lose nothing). Otherwise the oldest queued
            frame is dropped, and counted: a slow disk must not hold up a live picture.
        written: Called in the sink's thread for each frame that it has written.
    """

    def __init__(
        self, sink: Sink, *, name: str, waits: bool, written: Callable[[StreamFrame], None] | None = None
    ) -> None:
        self.dropped = 0
        self.failure: Exception | None = None
        """What ended the sink early, if anything did."""
        self._sink = sink
        self._waits = waits
        self._written = written
        self._queue: queue.Queue[StreamFrame | None] = queue.Queue(QUEUED_FRAMES)
        self._thread = threading.Thread(target=self._run, name=f"refusion sink {name}", daemon=True)
        self._thread.start()

    def put(self, frame: StreamFrame) -> None:
        """Hand a frame over.

        Raises:
            Exception: What ended the sink: frames before it are written.
        """
        if self.failure is not None:
            raise self.failure
        if self._waits:
            self._queue.put(frame)
            return
        while True:
            try:
                self._queue.put_nowait(frame)
                return
            except queue.Full:
                self._drop_oldest()

    def finish(self) -> None:
        """Write what is queued, close the sink, end the thread. Calling it twice is harmless."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def _drop_oldest(self) -> None:
        try:
            self._queue.get_nowait()
        except queue.Empty:
            return  # the sink was quicker
        self.dropped += 1

    def _run(self) -> None:
        while (frame := self._queue.get()) is not None:
            # A failed sink goes on taking frames, so that who waits for room in the queue is let go.
            if self.failure is None:
                try:
                    self._sink.write(frame)
                    if self._written is not None:
                        self._written(frame)
                except Exception as error:
                    self.failure = error
        try:
            self._sink.close()
        except Exception as error:
            self.failure = self.failure or error
