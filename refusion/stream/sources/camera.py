"""Cameras of this machine (V4L2) through OpenCV.

OpenCV rather than FFmpeg's v4l2 input, which waits for a frame in the kernel without a limit: a camera that
hangs could not be noticed, nor its stream be stopped. OpenCV waits with one, and gives the driver's time
stamps too.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import cv2
from numpy.typing import NDArray

from refusion.errors import InputError
from refusion.stream.moments import RawFrame
from refusion.stream.sources.interface import SourceLostError, SourceOptions
from refusion.stream.sources.opencv_reader import Capture, OpenCvReader, as_frame

_Y16 = cv2.VideoWriter.fourcc(*"Y16 ")


class CameraDevice(Capture, Protocol):
    """What is used of cv2.VideoCapture to set up a camera."""

    def isOpened(self) -> bool:
        """Return whether it could be opened."""

    def set(self, prop: int, value: float, /) -> bool:
        """Ask for a property; the camera may choose another value."""


def _open_device(number: int) -> CameraDevice:
    # OpenCV reads this at its first V4L2 capture. Its default, 10 s, would hold up the stop of a stream.
    os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "1")
    return cv2.VideoCapture(number, cv2.CAP_V4L2)


class Camera:
    """A V4L2 camera.

    One that is to give raw thermal frames is asked for Y16; what drivers make of these (flattened, in bytes)
    is made whole again. All else comes as BGR.
    """

    is_live = True

    def __init__(
        self,
        number: int,
        options: SourceOptions,
        *,
        devices: Path = Path("/dev"),
        open_device: Callable[[int], CameraDevice] = _open_device,
    ) -> None:
        """Set up; nothing is opened.

        Args:
            number: N of /dev/videoN.
            options: Size and rate to ask for, and whether raw frames are wanted.
            devices: Folder of the device files.
            open_device: Opens a device by its number.
        """
        self._number, self._options = number, options
        self._devices, self._open_device = devices, open_device
        self.uri = str(devices / f"video{number}")

    def open(self, stop: threading.Event) -> OpenCvReader:
        """Open the camera.

        Raises:
            InputError: There is no such camera, or it may not be used.
            SourceLostError: It cannot be opened now: another program has it.
        """
        self._check_device()
        device = self._open_device(self._number)
        if not device.isOpened():
            device.release()
            raise SourceLostError("another program uses it, or it captures nothing")
        try:
            is_raw = self._ask_for_format(device)
        except InputError:
            device.release()
            raise
        if self._options.size is not None:
            device.set(cv2.CAP_PROP_FRAME_WIDTH, self._options.size[0])
            device.set(cv2.CAP_PROP_FRAME_HEIGHT, self._options.size[1])
        if self._options.rate_hz is not None:
            device.set(cv2.CAP_PROP_FPS, self._options.rate_hz)
        # Frames that wait in the driver are old by the time they are read.
        device.set(cv2.CAP_PROP_BUFFERSIZE, 2)
        return OpenCvReader(
            device,
            stop,
            image_of=self._whole_raw(device) if is_raw else as_frame,
            stamp_ms=lambda: device.get(cv2.CAP_PROP_POS_MSEC),
        )

    def _check_device(self) -> None:
        path = Path(self.uri)
        if not path.exists():
            present = sorted(str(other) for other in self._devices.glob("video*"))
            raise InputError(
                f"there is no camera {path}; "
                + (f"there are {', '.join(present)}" if present else "this machine has none")
            )
        if not os.access(path, os.R_OK | os.W_OK):
            raise InputError(f"{path} may not be opened: add your user to the group of that file (video)")

    def _ask_for_format(self, device: CameraDevice) -> bool:
        """Return whether the camera gives Y16, as asked.

        Raises:
            InputError: It does not have the format that was stated.
        """
        stated = self._options.format
        if stated is None and not self._options.is_infrared:
            return False
        wanted = _Y16 if stated is None else cv2.VideoWriter.fourcc(*stated.ljust(4))
        has_it = device.set(cv2.CAP_PROP_FOURCC, wanted) and device.get(cv2.CAP_PROP_FOURCC) == wanted
        if stated is not None and not has_it:
            raise InputError(f"{self.uri} does not give {stated}; see v4l2-ctl --list-formats-ext")
        # Converted, Y16 would lose its low bytes.
        return has_it and wanted == _Y16 and device.set(cv2.CAP_PROP_CONVERT_RGB, 0)

    def _whole_raw(self, device: CameraDevice) -> Callable[[NDArray[Any]], RawFrame]:
        from refusion.thermal.y16 import repaired

        # A size that was asked for leaves out the rows of telemetry that the camera adds.
        size = self._options.size or (
            int(device.get(cv2.CAP_PROP_FRAME_WIDTH)),
            int(device.get(cv2.CAP_PROP_FRAME_HEIGHT)),
        )
        return lambda pixels: repaired(pixels, size)
