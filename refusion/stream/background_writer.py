"""A video written from a thread of its own, behind whoever gives the frames."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from refusion.frames import Frame
from refusion.stream.video_writer import VideoWriter
from refusion.timing import StageClock

_QUEUED_FRAMES = 4


class BackgroundWriter:
    """Hands frames to a VideoWriter in a thread of its own, so that they are encoded while others are fused.

    Use it in a `with` block inside of the writer's own: at the end it waits for what is queued; after an
    exception it drops that. The arrays given must not be changed any more.

    Args:
        writer: Where the frames go; nobody else may write to it meanwhile.
        clock: Gets the time of each frame, as the stage "encode".
    """

    def __init__(self, writer: VideoWriter, *, clock: StageClock) -> None:
        self._writer = writer
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, "refusion encode")
        self._queued: deque[Future[None]] = deque()

    def write(self, frame: Frame, *, time_ns: int | None = None) -> None:
        """Queue a frame; waits while four others are queued. See VideoWriter.write.

        Raises:
            InputError, OutputError: A frame before this one could not be written.
        """
        if len(self._queued) >= _QUEUED_FRAMES:
            self._queued.popleft().result()
        self._queued.append(self._thread.submit(self._write, frame, time_ns))

    def __enter__(self) -> BackgroundWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                while self._queued:
                    self._queued.popleft().result()
        finally:
            # The writer is closed next: by then nobody else may be at it.
            self._thread.shutdown(cancel_futures=True)

    def _write(self, frame: Frame, time_ns: int | None) -> None:
        with self._clock.stage("encode"):
            self._writer.write(frame, time_ns=time_ns)
