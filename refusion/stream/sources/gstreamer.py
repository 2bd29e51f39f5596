"""GStreamer pipelines, where OpenCV was built with GStreamer (Jetson's and Debian's are, pip's is not)."""

from __future__ import annotations

import threading

import cv2

from refusion.errors import InputError
from refusion.stream.sources.addresses import without_password
from refusion.stream.sources.interface import SourceLostError
from refusion.stream.sources.opencv_reader import OpenCvReader, as_frame

SCHEME = "gst"
_SINK = "appsink drop=true max-buffers=1 sync=false"
_TIMEOUTS = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, 3000, cv2.CAP_PROP_READ_TIMEOUT_MSEC, 1000]


class GStreamerPipeline:
    """A live pipeline, `gst:` and what gst-launch-1.0 would take; `appsink` at its end is added.

    GRAY16_LE comes as uint16, GRAY8 and BGR as they are. Frames have their time of arrival.
    """

    is_live = True

    def __init__(self, address: str) -> None:
        self.uri = without_password(address)
        pipeline = address.partition(":")[2].strip().rstrip("!").strip()
        self._pipeline = pipeline if "appsink" in pipeline else f"{pipeline} ! {_SINK}"

    def open(self, stop: threading.Event) -> OpenCvReader:
        """Start the pipeline.

        Raises:
            InputError: This OpenCV has no GStreamer.
            SourceLostError: The pipeline does not start.
        """
        if not has_gstreamer():
            raise InputError(
                f"{self.uri} needs an OpenCV with GStreamer, and this one ({cv2.__version__}) has none: "
                "use your system's (Debian: python3-opencv; Jetson's own), or give an rtsp:// address"
            )
        # OpenCV 4.6 and older refuse to open with timeouts. There a pipeline that stalls is not noticed.
        for timeouts in (_TIMEOUTS, []):
            capture = cv2.VideoCapture(self._pipeline, cv2.CAP_GSTREAMER, timeouts)
            if capture.isOpened():
                return OpenCvReader(capture, stop, image_of=as_frame)
            capture.release()
        raise SourceLostError("the pipeline does not start; try it with gst-launch-1.0")


def has_gstreamer() -> bool:
    """Return whether OpenCV was built with GStreamer."""
    lines = cv2.getBuildInformation().splitlines()
    return any("GStreamer:" in line and "YES" in line for line in lines)
