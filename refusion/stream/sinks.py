"""Where finished frames go: a video file or a folder of pictures."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Protocol, cast

import cv2

from refusion.errors import OutputError
from refusion.files import make_folder, refuse_unwritable, write_image
from refusion.frames import Frame
from refusion.stream.monitoring import StreamFrame
from refusion.stream.rendering import ViewSettings, render
from refusion.stream.video_writer import VideoWriter
from refusion.timing import StageClock


class Sink(Protocol):
    """Takes frames in order, from one thread."""

    def write(self, frame: StreamFrame) -> None:
        """Take a frame.

        Raises:
            OutputError: It cannot be written; what was written before stays.
        """

    def close(self) -> None:
        """Finish. Closing twice is harmless.

        Raises:
            OutputError: The end cannot be written; what was written before stays.
        """


class VideoSink:
    """Writes one view of a stream to an MP4 file, each frame at its own time; see VideoWriter.

    The size of the first picture is that of the file; others are fitted into it.
    """

    def __init__(
        self, path: Path, settings: ViewSettings, *, rate_hz: float, clock: StageClock, force: bool = False
    ) -> None:
        self.path = path
        self._settings = settings
        self._rate = Fraction(rate_hz).limit_denominator(1001)
        self._clock = clock
        self._force = force
        self._writer: VideoWriter | None = None

    def write(self, frame: StreamFrame) -> None:
        with self._clock.stage("view"):
            picture = render(frame, self._settings)
        with self._clock.stage("encode"):
            if self._writer is None:
                size = picture.shape[1], picture.shape[0]
                self._writer = VideoWriter(
                    self.path, rate=self._rate, size=size, force=self._force, keep=True
                )
            self._writer.write(fitted(picture, self._writer.size), time_ns=frame.time_ns)

    def close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()


class FolderSink:
    """Writes one view of a stream as a folder of PNG files, named by the frames' numbers.

    Raises:
        OutputError: The folder cannot be made.
    """

    def __init__(
        self, folder: Path, settings: ViewSettings, *, clock: StageClock, force: bool = False
    ) -> None:
        make_folder(folder)
        self._folder = folder
        self._settings = settings
        self._clock = clock
        self._force = force

    def write(self, frame: StreamFrame) -> None:
        with self._clock.stage("view"):
            picture = render(frame, self._settings)
        with self._clock.stage("encode"):
            write_image(self._folder / f"{frame.index:06d}.png", picture, force=self._force)

    def close(self) -> None:
        """Nothing is open."""


def fitted(picture: Frame, size: tuple[int, int]) -> Frame:
    """Return a picture scaled to lie inside of (width, height), on black; as it is where it fits."""
    width, height = size
    found_height, found_width = picture.shape[:2]
    if (found_width, found_height) == size:
        return picture
    scale = min(width / found_width, height / found_height)
    inner = max(1, round(found_width * scale)), max(1, round(found_height * scale))
    scaled = cv2.resize(picture, inner, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    bordered = cv2.copyMakeBorder(
        scaled, top, height - inner[1] - top, left, width - inner[0] - left, cv2.BORDER_CONSTANT
    )
    return cast(Frame, bordered)


def refuse_target(path: Path, *, force: bool) -> None:
    """Raise OutputError if `open_sink` could not write there, before anything slow is opened."""
    try:
        is_folder = _is_folder(path)
        has_files = is_folder and path.is_dir() and any(path.iterdir())
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}") from None
    if is_folder:
        if has_files and not force:
            raise OutputError(f"{path} has files already; give --force to add to them and replace some")
        return
    if path.suffix.lower() != ".mp4":
        raise OutputError(f"{path} cannot be written: videos are written as MP4, so name it NAME.mp4")
    refuse_unwritable(path, force=force)


def open_sink(
    path: Path, settings: ViewSettings, *, rate_hz: float, clock: StageClock, force: bool = False
) -> Sink:
    """Open the sink that a path stands for: NAME.mp4 a video, a name without suffix a folder of PNG files.

    Raises:
        OutputError: It is there already (without force), cannot be written, or is of another kind.
    """
    refuse_target(path, force=force)
    if _is_folder(path):
        return FolderSink(path, settings, clock=clock, force=force)
    return VideoSink(path, settings, rate_hz=rate_hz, clock=clock, force=force)


def _is_folder(path: Path) -> bool:
    return path.suffix == "" or path.is_dir()
