"""A recording read in a thread of its own, a few frames ahead of whoever takes them. Nothing is lost."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import closing

from refusion.errors import RefusionError
from refusion.stream.event_log import EventLog
from refusion.stream.moments import CapturedFrame, SourceReport, SourceState
from refusion.stream.sources import Reader, Source

_FRAMES_AHEAD = 4
_DEFAULT_RATE_HZ = 25.0


class ReadAhead:
    """Reads a recording ahead of its taker, at most four frames; its thread waits when they are there."""

    def __init__(self, name: str, source: Source, *, loop: bool, events: EventLog) -> None:
        """Open the recording and begin to read.

        Args:
            name: "infrared" or "visible".
            source: A recording.
            loop: Whether it starts again after its end.
            events: Where changes of state are noted.

        Raises:
            InputError: It cannot be opened.
        """
        self._source, self._loop, self._events = source, loop, events
        self._stop = threading.Event()
        reader = source.open(self._stop)
        self.rate_hz = reader.rate_hz or _DEFAULT_RATE_HZ
        self.start_ns = reader.start_ns
        self._name, self._state = name, SourceState.live
        self._size: tuple[int, int] | None = None
        self._received = 0
        # None stands for the end of a round, an error for the end of all.
        self._waiting: deque[CapturedFrame | RefusionError | None] = deque()
        self._change = threading.Condition()
        self._thread = threading.Thread(
            target=self._read, args=(reader,), name=f"refusion-{name}", daemon=True
        )
        events.note(name, self._state, f"opened {source.uri}")
        self._thread.start()

    def frames(self) -> Iterator[CapturedFrame]:
        """Yield the frames of one round, waiting for each; ends early once stopped.

        Raises:
            InputError: The recording is damaged.
        """
        while True:
            with self._change:
                self._change.wait_for(lambda: self._waiting or self._stop.is_set())
                if self._stop.is_set():
                    return
                item = self._waiting.popleft()
                self._change.notify_all()
            if item is None:
                if not self._loop:
                    self._state = SourceState.ended
                    self._events.note(self._name, self._state, "gave its last frame")
                return
            if isinstance(item, RefusionError):
                raise item
            yield item

    @property
    def is_ready(self) -> bool:
        """Whether the next frame, or the end, can be taken without waiting."""
        return bool(self._waiting) or self._state is SourceState.ended

    @property
    def state(self) -> SourceState:
        """live, or ended once the last frame was taken."""
        return self._state

    def report(self, dropped: int) -> SourceReport:
        """Return the figures of the recording; the taker knows what it dropped."""
        return SourceReport(
            self._name, self._source.uri, self._state, self._size, self._received, dropped, reconnects=0
        )

    def stop(self) -> None:
        """End the thread soon, and whoever waits for a frame."""
        with self._change:
            self._stop.set()
            self._change.notify_all()

    def close(self) -> None:
        """Stop and wait for the thread's end. Closing twice is harmless."""
        self.stop()
        self._thread.join()

    def _read(self, reader: Reader) -> None:
        try:
            self._read_round(reader)
            while self._loop and not self._stop.is_set():
                self._read_round(self._source.open(self._stop))
        except RefusionError as error:
            self._give(error)

    def _read_round(self, reader: Reader) -> None:
        time_ns = 0
        with closing(reader):
            while not self._stop.is_set() and (timed := reader.read()) is not None:
                # A time that goes back would break the order of moments.
                time_ns = max(time_ns, timed.time_ns)
                height, width = timed.image.shape[:2]
                self._size = (width, height)
                self._give(CapturedFrame(timed.image, time_ns, self._received))
                self._received += 1
        self._give(None)

    def _give(self, item: CapturedFrame | RefusionError | None) -> None:
        with self._change:
            self._change.wait_for(lambda: len(self._waiting) < _FRAMES_AHEAD or self._stop.is_set())
            self._waiting.append(item)
            self._change.notify_all()
