"""Video files as recordings."""

from __future__ import annotations

import threading
from pathlib import Path

from refusion.stream.sources.interface import TimedImage
from refusion.stream.video import VideoReader


class VideoFile:
    """A video file; see VideoReader for what its frames are."""

    is_live = False

    def __init__(self, path: Path, *, luma: bool = False) -> None:
        """Set the source up.

        Args:
            path: The file.
            luma: Whether its frames' luma is all that is wanted.
        """
        self.uri = str(path)
        self._path = path
        self._luma = luma

    def open(self, stop: threading.Event) -> VideoFileReader:
        """Open the file.

        Raises:
            InputError: It is missing, no video, or truncated.
        """
        del stop  # A file does not make its reader wait.
        return VideoFileReader(VideoReader(self._path, luma=self._luma))


class VideoFileReader:
    """Reads the frames of a video file."""

    damaged = 0
    """Damage in a file is an error."""
    start_ns = None

    def __init__(self, video: VideoReader) -> None:
        self._video = video
        self.rate_hz = float(video.rate)

    def read(self) -> TimedImage | None:
        """Return the next frame, None after the last.

        Raises:
            InputError: It cannot be decoded, or has another size than those before.
        """
        image = next(self._video, None)
        return None if image is None else TimedImage(image, self._video.time_ns)

    def close(self) -> None:
        """Close the file."""
        self._video.close()
