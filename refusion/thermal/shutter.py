"""Shutter events of thermal cameras (flat-field correction, FFC): the camera repeats itself, or shows it."""

from __future__ import annotations

import enum
import statistics
from collections import deque

_KEPT_FRAMES = 32
_LEARNED_FRAMES = 8
"""Before so many frames have shown what is normal, nothing is flagged."""
_NOISY_SHARE = 0.2
"""Where fewer pixels change from frame to frame there is no noise that could be missed."""
_REPEAT_SHARE = 0.25
"""Of the pixels that change at least: below it, a frame is a repeat. Telemetry and codecs alter a few."""
_REPEAT_INTERVALS = 2.5
"""Repeats are normal for less than this: drivers hand the frames of a 9 Hz camera out three times."""
_UNIFORM_SHARE = 0.15
_CONTRAST_SHARE = 0.5
"""A shutter takes the contrast away from above this share of what is normal to below the other, at once."""


class Shutter(enum.Enum):
    """What a frame shows of the shutter; the value is for how many seconds at most."""

    open = float("inf")
    repeating = 5.0
    """Closed: the camera repeats its last frame. What goes on for longer is a scene that stands still."""
    visible = 2.0
    """Closed, and in the picture: a frame without contrast. What goes on for longer is an even scene."""


class ShutterDetector:
    """Tells frames of the closed shutter from those of the scene, of one camera and size, in order.

    Two signs count, and only of a camera that has shown otherwise before: frames that repeat where noise used
    to change many pixels, for longer than frames are normally repeated; and a frame whose contrast is gone
    at once. After a few seconds either is taken for the scene, until noise and contrast are learned anew.
    """

    def __init__(self) -> None:
        self._shares: deque[float] = deque(maxlen=_KEPT_FRAMES)
        self._intervals_ns: deque[int] = deque(maxlen=_KEPT_FRAMES)
        self._contrasts: deque[float] = deque(maxlen=_KEPT_FRAMES)
        self._changed_ns: int | None = None
        self._closed_ns: int | None = None

    def see(self, changed_share: float, contrast: float, time_ns: int) -> Shutter:
        """Take the next frame and tell what it shows.

        Args:
            changed_share: Share of the pixels that differ from the frame before; 1 of the first.
            contrast: Standard deviation of the frame's counts, once the noise is averaged away.
            time_ns: Capture time, nanoseconds.
        """
        shutter = self._judge(changed_share, contrast, time_ns)
        if shutter is Shutter.open:
            self._closed_ns = None
        elif self._closed_ns is None:
            self._closed_ns = time_ns
        elif time_ns - self._closed_ns > shutter.value * 1e9:
            self._forget()
            return Shutter.open
        return shutter

    def _judge(self, changed_share: float, contrast: float, time_ns: int) -> Shutter:
        if self._is_repeat(changed_share):
            assert self._changed_ns is not None
            usual_ns = statistics.median(self._intervals_ns)
            is_long = time_ns - self._changed_ns > _REPEAT_INTERVALS * usual_ns
            return Shutter.repeating if is_long else Shutter.open
        if changed_share > 0:
            if self._changed_ns is not None:
                self._shares.append(changed_share)
                self._intervals_ns.append(time_ns - self._changed_ns)
            self._changed_ns = time_ns
        if self._lost_contrast(contrast):
            return Shutter.visible
        self._contrasts.append(contrast)
        return Shutter.open

    def _is_repeat(self, changed_share: float) -> bool:
        if len(self._shares) < _LEARNED_FRAMES:
            return False
        # Of the calmest frames; not the very calmest, which may be the first of an event.
        least = sorted(self._shares)[len(self._shares) // 8]
        return least >= _NOISY_SHARE and changed_share < _REPEAT_SHARE * least

    def _lost_contrast(self, contrast: float) -> bool:
        if len(self._contrasts) < _LEARNED_FRAMES:
            return False
        usual = statistics.median(self._contrasts)
        # One frame may lie in between: the shutter moves while it is taken.
        return contrast < _UNIFORM_SHARE * usual and self._contrasts[-2] > _CONTRAST_SHARE * usual

    def _forget(self) -> None:
        for learned in (self._shares, self._intervals_ns, self._contrasts):
            learned.clear()
        self._changed_ns = self._closed_ns = None
