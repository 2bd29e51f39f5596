"""A running stream: two sources are captured, fused and handed on, each in threads of their own."""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from refusion.errors import UsageError
from refusion.frames import Frame
from refusion.fuser import Fuser
from refusion.stream.fusing import MomentFuser
from refusion.stream.in_flight import InFlight
from refusion.stream.latest import Latest
from refusion.stream.moments import MomentSource
from refusion.stream.monitoring import StreamFrame, StreamStatus
from refusion.stream.queued_sink import QueuedSink
from refusion.stream.recording import Recorder
from refusion.stream.registration import Registration
from refusion.stream.sinks import Sink
from refusion.timing import StageClock

if TYPE_CHECKING:
    from refusion.alignment import Calibration

RATE_WINDOW_S = 5.0
RECENT_FRAMES = 100
"""What a viewer's percentiles are over: enough for a p99, and soon forgotten."""


class FusionStream:
    """Fuses two sources as long as they last; iterate over it, or watch it.

    Frames go to the sinks it was opened with, to whoever iterates over it, and to whoever waits for the
    newest one. Of live sources only the newest pair is fused, and nobody who is slow holds it up: what they
    miss is counted. Of files nothing is dropped. Closing it finishes the files that are being written.

    See `refusion.open_stream`, which makes one.
    """

    def __init__(
        self,
        moments: MomentSource,
        fuser: Fuser,
        fusing: MomentFuser,
        registration: Registration,
        *,
        recorder: Recorder,
        sinks: Sequence[Sink] = (),
        max_frames: int | None = None,
    ) -> None:
        """Take everything over: closing the stream closes all of it."""
        self.is_live = moments.is_live
        self.rate_hz = moments.rate_hz
        """Frames a second that can be expected of the sources."""
        self._moments = moments
        self._fuser = fuser
        self._fusing = fusing
        self._registration = registration
        self._recorder = recorder
        self._max_frames = max_frames
        self._latest = Latest()
        self._sinks = [
            QueuedSink(sink, name=type(sink).__name__, waits=not self.is_live, written=self._note_written)
            for sink in sinks
        ]
        self._readers: list[_Reader] = []
        self._readers_dropped = 0
        self._quantities = StageClock()
        self._fused_at_s: deque[float] = deque()
        self._frames = self._frames_single = 0
        self._size: tuple[int, int] | None = None
        self._lock = threading.Lock()
        self._started_s = time.monotonic()
        self._ended = threading.Event()
        self._failure: Exception | None = None
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def start(self) -> None:
        """Begin to capture and fuse. Calling it twice is harmless.

        Raises:
            UsageError: The stream is closed.
        """
        with self._lock:
            if self._is_closed:
                raise UsageError("the stream is closed; open another")
            if self._thread is None:
                self._started_s = time.monotonic()
                self._thread = threading.Thread(target=self._run, name="refusion fusing", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Ask the stream to end soon; from any thread, and more than once."""
        self._moments.stop()

    def wait_ended(self, timeout_s: float | None = None) -> bool:
        """Wait until the stream has ended and its sinks are finished; return whether it has."""
        return self._thread is None or self._ended.wait(timeout_s)

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait as `wait_ended` does, and raise what ended the stream early.

        Raises:
            InputError: A source cannot be used any more.
            OutputError: A sink could not be written; what it had is kept.
            BackendError: The device failed.
        """
        if not self.wait_ended(timeout_s):
            return False
        if self._failure is not None:
            raise self._failure
        return True

    def close(self) -> None:
        """End the stream, finish files, free everything. Closing twice is harmless."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
        self._moments.stop()
        if self._thread is not None:
            self._thread.join()
        else:
            self._finish()
        self._moments.__exit__(None, None, None)
        self._registration.close()
        self._fuser.close()

    def __enter__(self) -> FusionStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[StreamFrame]:
        """Yield frames from now on: of files each, of live sources the newest whenever the loop comes round.

        Starts the stream if it is not running; then the end of the loop closes it, too.

        Raises:
            RefusionError: What ended the stream, after the frames before it; see `join`.
        """
        reader = _Reader(waits=not self.is_live)
        with self._lock:
            is_first = self._thread is None
            self._readers.append(reader)
        self.start()
        try:
            while (frame := reader.next(self._ended)) is not None:
                yield frame
            self.join()
        finally:
            reader.close()
            with self._lock:
                self._readers.remove(reader)
                self._readers_dropped += reader.dropped
            if is_first:
                self.close()

    def wait(self, after: int, timeout_s: float) -> StreamFrame | None:
        return self._latest.wait(after, timeout_s)

    def status(self, *, latest: int = RECENT_FRAMES) -> StreamStatus:
        """Return the figures as they are; percentiles are over so many latest frames."""
        now_s = time.monotonic()
        quantities = self._quantities.percentiles(latest)
        with self._lock:
            return StreamStatus(
                running_s=now_s - self._started_s,
                frames=self._frames,
                frames_single=self._frames_single,
                rate_hz=self._rate(now_s),
                dropped_by_sinks=sum(sink.dropped for sink in self._sinks)
                + self._recorder.dropped
                + self._readers_dropped
                + sum(reader.dropped for reader in self._readers),
                sources=self._moments.reports(),
                events=self._moments.events(),
                skew=quantities.get("skew"),
                stages=self._fuser.clock.percentiles(latest),
                latency=quantities.get("latency"),
                latency_written=quantities.get("latency written"),
                size=self._size,
                task=self._fuser.task.name,
                backend=self._fuser.description,
                recording=self._recorder.path,
                has_ended=self._ended.is_set(),
            )

    @property
    def calibration(self) -> Calibration | None:
        return self._registration.calibration

    def set_calibration(self, calibration: Calibration) -> None:
        self._registration.change(calibration)

    def save_calibration(self) -> Path:
        return self._registration.save()

    def start_recording(self) -> Path:
        return self._recorder.start()

    def stop_recording(self) -> Path | None:
        return self._recorder.stop()

    def save_snapshot(self, picture: Frame) -> Path:
        return self._recorder.save_snapshot(picture)

    def _run(self) -> None:
        try:
            self._fuse_all()
        except Exception as error:
            self._failure = error
        self._finish()

    def _fuse_all(self) -> None:
        """Fuse until the end; what fails is raised after the frames before it are published."""
        # A live pair must not wait for the next: with more in the works the newest pair would be taken before
        # the device can have it, and each frame would be older by what it waited. Files overlap all stages.
        depth = 1 if self.is_live else self._fuser.frames_in_flight
        moments = iter(self._moments)
        if self._max_frames is not None:
            moments = itertools.islice(moments, self._max_frames)
        with InFlight(self._publish, depth=depth) as in_flight:
            for moment in moments:
                if self.is_live:
                    # What the source and its network took, and what a busy network of ours adds.
                    self._fuser.clock.add("arrival", (time.monotonic_ns() - moment.time_ns) / 1e9)
                in_flight.put(self._fusing.begin(moment))

    def _publish(self, frame: StreamFrame) -> None:
        self._count(frame)
        self._latest.put(frame)
        self._recorder.put(frame)
        with self._lock:
            readers = tuple(self._readers)
        for reader in readers:
            reader.put(frame)
        for sink in self._sinks:
            sink.put(frame)

    def _count(self, frame: StreamFrame) -> None:
        now_s = time.monotonic()
        with self._lock:
            if frame.fused is None:
                self._frames_single += 1
                return
            self._frames += 1
            self._size = frame.fused.shape[1], frame.fused.shape[0]
            self._fused_at_s.append(now_s)
            self._rate(now_s)
        if frame.skew_ns is not None:
            self._quantities.add("skew", abs(frame.skew_ns) / 1e9)
        if self.is_live:
            self._quantities.add("latency", now_s - frame.time_ns / 1e9)

    def _note_written(self, frame: StreamFrame) -> None:
        if self.is_live and frame.fused is not None:
            self._quantities.add("latency written", time.monotonic() - frame.time_ns / 1e9)

    def _rate(self, now_s: float) -> float:
        """Return fused frames a second over the last seconds, and forget older ones."""
        times = self._fused_at_s
        while times and now_s - times[0] > RATE_WINDOW_S:
            times.popleft()
        span_s = min(RATE_WINDOW_S, max(now_s - self._started_s, 1e-3))
        return len(times) / span_s

    def _finish(self) -> None:
        for sink in self._sinks:
            sink.finish()
            self._failure = self._failure or sink.failure
        with suppress(Exception):  # the recorder keeps the failure for whoever asked for the recording
            self._recorder.stop()
        self._ended.set()
        self._latest.end()


class _Reader:
    """Frames on their way to one loop over the stream."""

    def __init__(self, *, waits: bool) -> None:
        self.dropped = 0
        self._waits = waits
        self._queue: queue.Queue[StreamFrame] = queue.Queue(1)
        self._is_closed = threading.Event()

    def put(self, frame: StreamFrame) -> None:
        while not self._is_closed.is_set():
            try:
                self._queue.put(frame, timeout=0.1 if self._waits else 0)
                return
            except queue.Full:
                if not self._waits:
                    self._drop()

    def _drop(self) -> None:
        with suppress(queue.Empty):
            self._queue.get_nowait()
            self.dropped += 1

    def next(self, ended: threading.Event) -> StreamFrame | None:
        """Return the next frame, None after the last."""
        while True:
            # Asked first: a frame put before the end is found after it.
            has_ended = ended.is_set()
            try:
                return self._queue.get(timeout=0 if has_ended else 0.1)
            except queue.Empty:
                if has_ended:
                    return None

    def close(self) -> None:
        self._is_closed.set()
