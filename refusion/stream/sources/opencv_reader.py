"""What OpenCV captures, from a camera or a GStreamer pipeline, as a reader."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from refusion.errors import InputError
from refusion.stream.moments import RawFrame
from refusion.stream.sources.interface import SourceLostError, TimedImage
from refusion.stream.stream_clock import median_rate_hz

_FAILED_READS = 2
"""OpenCV waits a second for a frame; a camera is lost when it gave none in two of these."""
_OLDEST_STAMP_NS = 2_000_000_000
_INTERVALS = 15


def as_frame(pixels: NDArray[Any]) -> RawFrame:
    """Return what OpenCV gives if it is a frame.

    Raises:
        InputError: It is neither 8-bit gray or BGR nor 16-bit gray.
    """
    shape, depth = pixels.shape, pixels.dtype
    if (depth == np.uint8 and shape[2:] in ((), (3,))) or (depth == np.uint16 and len(shape) == 2):
        return pixels
    raise InputError(
        f"the source gives {depth} values of shape {shape}; frames are 8-bit gray or BGR, or 16-bit gray"
    )


class Capture(Protocol):
    """What is used of cv2.VideoCapture."""

    def read(self) -> tuple[bool, NDArray[Any] | None]:
        """Wait for a frame; (False, None) if none came."""

    def get(self, prop: int, /) -> float:
        """Return a property, 0 where it is not known."""

    def release(self) -> None:
        """Close."""


class OpenCvReader:
    """Reads what OpenCV captures."""

    start_ns = None
    damaged = 0
    """OpenCV does not tell."""

    def __init__(
        self,
        capture: Capture,
        stop: threading.Event,
        *,
        image_of: Callable[[NDArray[Any]], RawFrame],
        stamp_ms: Callable[[], float] | None = None,
    ) -> None:
        """Read from an open capture.

        Args:
            capture: Closed with the reader.
            stop: Ends reading.
            image_of: Makes a frame of what the capture gives.
            stamp_ms: Gives the capture time of the frame read last, where the driver notes it: milliseconds
                of the monotonic clock. Where that is impossible, the time of arrival is taken.
        """
        self._capture, self._stop = capture, stop
        self._image_of, self._stamp_ms = image_of, stamp_ms
        self._last_ns: int | None = None
        self._intervals: deque[int] = deque(maxlen=_INTERVALS)

    @property
    def rate_hz(self) -> float | None:
        """Frames a second, measured; None before the fourth frame."""
        return median_rate_hz(self._intervals)

    def read(self) -> TimedImage | None:
        """Return the next image; None when told to stop.

        Raises:
            SourceLostError: None came for two seconds.
        """
        for _ in range(_FAILED_READS):
            if self._stop.is_set():
                return None
            came, pixels = self._capture.read()
            if came and pixels is not None:
                return TimedImage(self._image_of(pixels), self._time_ns())
        if self._stop.is_set():
            return None
        raise SourceLostError("it gives no more frames")

    def close(self) -> None:
        """Close the capture. Closing twice is harmless."""
        self._capture.release()

    def _time_ns(self) -> int:
        time_ns = now_ns = time.monotonic_ns()
        if self._stamp_ms is not None:
            # Some drivers stamp by the time of day, or not at all.
            stamp_ns = round(self._stamp_ms() * 1e6)
            if now_ns - _OLDEST_STAMP_NS < stamp_ns <= now_ns:
                time_ns = stamp_ns
        if self._last_ns is not None:
            self._intervals.append(time_ns - self._last_ns)
        self._last_ns = time_ns
        return time_ns
