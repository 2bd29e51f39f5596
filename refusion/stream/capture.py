"""A live source read in a thread of its own, connected again whenever it was lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing

from refusion.errors import InputError
from refusion.stream.backoff import Backoff
from refusion.stream.event_log import EventLog
from refusion.stream.moments import CapturedFrame, RawFrame, SourceReport, SourceState
from refusion.stream.sources import Source, SourceLostError, TimedImage

CONNECT_TIMEOUT_S = 10.0
_JOIN_S = 3.0
"""A name that the network cannot resolve holds its thread longer than anything else: it is left behind."""


class LiveCapture:
    """Reads a live source for ever and hands on each frame as it comes.

    A source that was live once is connected again however often it is lost. One that never was is given up
    after ten seconds, or at once where trying again would not help.
    """

    def __init__(
        self,
        name: str,
        source: Source,
        *,
        events: EventLog,
        deliver: Callable[[CapturedFrame | None], None],
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
    ) -> None:
        """Set up; `start` connects.

        Args:
            name: "infrared" or "visible".
            source: A live source.
            events: Where changes of state are noted.
            deliver: Called in the capture's thread with each frame; with None when the state has changed.
            connect_timeout_s: How long the first connection is tried.
        """
        self.name, self.uri = name, source.uri
        self.received = 0
        self.rate_hz: float | None = None
        """Frames a second as measured, or as the source says; None while neither is known."""
        self.error: Exception | None = None
        """Why the capture ended by itself."""
        self._source, self._events, self._deliver = source, events, deliver
        self._connect_timeout_s = connect_timeout_s
        self._connections = 0
        self._damage_to_note = 1
        self._first: RawFrame | None = None
        self._arrival_ns = 0
        self._state = SourceState.connecting
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"refusion-{name}", daemon=True)

    def start(self) -> None:
        """Begin to connect."""
        self._thread.start()

    @property
    def state(self) -> SourceState:
        """How the source is now."""
        return self._state

    def note_stall(self, now_ns: int, max_age_ns: int) -> int | None:
        """Call the source stalled if its newest frame came longer ago than `max_age_ns`.

        Returns:
            When to look again, None if it is not live.
        """
        with self._lock:
            if self._state is not SourceState.live:
                return None
            due_ns = self._arrival_ns + max_age_ns
            if now_ns < due_ns:
                return due_ns
        self._change(SourceState.stalled, f"no frame for {max_age_ns / 1e9:.1f} s; still connected")
        return None

    def report(self, dropped: int) -> SourceReport:
        """Return the figures of the source; the taker of the frames knows what it dropped."""
        size = None if self._first is None else (self._first.shape[1], self._first.shape[0])
        reconnects = max(self._connections - 1, 0)
        return SourceReport(self.name, self.uri, self._state, size, self.received, dropped, reconnects)

    def stop(self) -> None:
        """End the thread soon."""
        self._stop.set()

    def close(self) -> None:
        """Stop and wait for the thread's end. Closing twice is harmless."""
        self.stop()
        if self._thread.is_alive():
            self._thread.join(_JOIN_S)

    def _run(self) -> None:
        try:
            self._change(SourceState.connecting, f"connecting to {self.uri}")
            self._capture()
        except Exception as error:
            # Whoever takes the frames raises it: a thread that dies must not look like a pause.
            self.error = error
            self._change(SourceState.ended, str(error))

    def _capture(self) -> None:
        backoff = Backoff()
        give_up_s = time.monotonic() + self._connect_timeout_s
        while not self._stop.is_set():
            connections = self._connections
            try:
                with closing(self._source.open(self._stop)) as reader:
                    while (timed := reader.read()) is not None:
                        if self._connections == connections:
                            self._connections += 1
                            backoff.reset()
                        self._take(timed, reader.rate_hz)
                        self._note_damage(reader.damaged)
                return
            except _ChangedError:
                raise
            except (SourceLostError, InputError) as error:
                if self._stop.is_set():
                    return
                reason = error
            if self._first is None:
                if isinstance(reason, InputError):
                    raise reason
                if time.monotonic() > give_up_s:
                    waited = f"{self._connect_timeout_s:.0f} s"
                    raise InputError(
                        f"the {self.name} source {self.uri} gave no picture in {waited}: {reason}"
                    )
            else:
                self._change(SourceState.lost, f"{reason}; trying again")
            self._stop.wait(backoff.next_s())

    def _take(self, timed: TimedImage, rate_hz: float | None) -> None:
        if self._first is None:
            self._first = timed.image
        if (timed.image.shape, timed.image.dtype) != (self._first.shape, self._first.dtype):
            raise _ChangedError(
                f"the {self.name} source {self.uri} changed from {_kind(self._first)} to "
                f"{_kind(timed.image)}; start again to go on with that"
            )
        self.rate_hz = rate_hz or self.rate_hz
        self._arrival_ns = time.monotonic_ns()
        frame = CapturedFrame(timed.image, timed.time_ns, self.received)
        self.received += 1
        if self._state is not SourceState.live:
            self._change(SourceState.live, f"frames of {_kind(timed.image)} come")
        self._deliver(frame)

    def _note_damage(self, damaged: int) -> None:
        # Each tenfold is news; each packet would fill the log.
        if damaged >= self._damage_to_note:
            self._damage_to_note = 10 * damaged
            message = f"{damaged} damaged packets; pictures are left out up to the next key frame"
            self._events.note(self.name, self._state, message)

    def _change(self, state: SourceState, message: str) -> None:
        with self._lock:
            if state is self._state and state is not SourceState.connecting:
                return
            self._state = state
        self._events.note(self.name, state, message)
        self._deliver(None)


class _ChangedError(InputError):
    """Another kind of picture than at first: connecting again would not help."""


def _kind(image: RawFrame) -> str:
    depth = "16-bit gray" if image.dtype.itemsize == 2 else "gray" if image.ndim == 2 else "colour"
    return f"{image.shape[1]}x{image.shape[0]} {depth}"
