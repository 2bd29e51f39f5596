"""A window that shows a stream."""

from __future__ import annotations

import os
import sys

import cv2

from refusion.errors import UsageError
from refusion.stream.monitoring import MonitoredStream
from refusion.stream.rendering import ViewSettings, render

TITLE = "ReFusion"
_ESCAPE = 27


class StreamWindow:
    """Shows one view of a stream; lives in the main thread.

    Raises:
        UsageError: There is no display, or OpenCV was built without windows.
    """

    def __init__(self, settings: ViewSettings) -> None:
        self._settings = settings
        self._shown = -1
        # Without a display, Qt would end the process.
        if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise UsageError(
                "--window needs a display, and DISPLAY is not set; --serve shows it in a browser instead"
            )
        try:
            cv2.namedWindow(TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
        except cv2.error:
            raise UsageError(
                "--window needs OpenCV with windows (opencv-python, not -headless); "
                "--serve shows it in a browser"
            ) from None

    def show_next(self, stream: MonitoredStream, timeout_s: float) -> bool:
        """Show the next frame if one comes in time; return False once the user has closed the window."""
        frame = stream.wait(self._shown, timeout_s)
        if frame is not None:
            self._shown = frame.index
            cv2.imshow(TITLE, render(frame, self._settings))
        key = cv2.pollKey() & 0xFF
        return key not in (ord("q"), _ESCAPE) and cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) >= 1
