"""Recordings and snapshots of a running stream, in a folder of their own."""

from __future__ import annotations

import threading
from datetime import datetime
from pathlib import Path

from refusion.errors import OutputError
from refusion.files import make_folder, refuse_unwritable, write_image
from refusion.frames import Frame
from refusion.stream.monitoring import StreamFrame
from refusion.stream.queued_sink import QueuedSink
from refusion.stream.rendering import ViewSettings
from refusion.stream.sinks import VideoSink
from refusion.timing import StageClock


class Recorder:
    """Writes fused pictures to a new file whenever it is asked to. May be shared by threads.

    A recording that fails (the disk is full) ends and keeps what it wrote; the stream runs on.
    """

    def __init__(self, folder: Path, *, rate_hz: float, clock: StageClock, waits: bool) -> None:
        self.failure: Exception | None = None
        """What ended the last recording early, if anything did."""
        self._folder = folder
        self._rate_hz = rate_hz
        self._clock = clock
        self._waits = waits
        self._lock = threading.Lock()
        self._running: tuple[Path, QueuedSink] | None = None
        self._dropped_before = 0

    @property
    def path(self) -> Path | None:
        """The file that is being recorded to."""
        with self._lock:
            return self._running[0] if self._running else None

    @property
    def dropped(self) -> int:
        """Frames that recordings dropped."""
        with self._lock:
            return self._dropped_before + (self._running[1].dropped if self._running else 0)

    def start(self) -> Path:
        """Begin a new file; return the running one's path if there is one.

        Raises:
            OutputError: It cannot be written.
        """
        with self._lock:
            if self._running is None:
                path = self._new_path(".mp4")
                refuse_unwritable(path, force=False)
                sink = VideoSink(path, ViewSettings(), rate_hz=self._rate_hz, clock=self._clock)
                self.failure = None
                self._running = path, QueuedSink(sink, name="recording", waits=self._waits)
            return self._running[0]

    def stop(self) -> Path | None:
        """Finish the file and return its path; None if none was recorded.

        Raises:
            OutputError: Its end could not be written, or no picture came.
        """
        with self._lock:
            running, self._running = self._running, None
        if running is None:
            return None
        path, sink = running
        sink.finish()
        with self._lock:
            self._dropped_before += sink.dropped
        if sink.failure is not None:
            raise sink.failure
        if not path.exists():
            raise OutputError(f"{path} was not written: no picture came while it was recorded")
        return path

    def put(self, frame: StreamFrame) -> None:
        """Record a frame, if a recording runs."""
        with self._lock:
            running = self._running
        if running is not None and running[1].failure is not None:
            self.failure = running[1].failure
            with self._lock:
                self._running = None
            running[1].finish()
        elif running is not None:
            running[1].put(frame)

    def save_snapshot(self, picture: Frame) -> Path:
        """Write a picture as PNG and return its path.

        Raises:
            OutputError: It cannot be written.
        """
        with self._lock:
            path = self._new_path(".png")
            write_image(path, picture, force=False)
        return path

    def _new_path(self, suffix: str) -> Path:
        make_folder(self._folder)
        moment = datetime.now().strftime("%Y%m%d-%H%M%S")
        for number in range(1, 1000):
            counter = f"-{number}" if number > 1 else ""
            path = self._folder / f"refusion-{moment}{counter}{suffix}"
            if not path.exists():
                return path
        raise OutputError(f"{self._folder} has a thousand files of this second; try again")
