"""Automatic gain control (AGC): thermal frames of 16 bits become steady gray pictures of 8."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from refusion.errors import InputError, UsageError
from refusion.frames import checked_frame
from refusion.thermal.histogram import CountHistogram
from refusion.thermal.policies import AgcPolicy, KelvinSpan
from refusion.thermal.shutter import Shutter, ShutterDetector
from refusion.thermal.tracking import CountRange, RangeTracker

_TAIL_SHARE = 0.005
"""Share of the pixels beyond either end of the range: a few hot or dead ones do not decide it."""
_THUMBNAIL_PX = (32, 24)
_USUAL_INTERVAL_S = 1 / 25
"""Between frames that state no times."""
_COUNTS = np.arange(1 << 16, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class ThermalPicture:
    """A thermal frame as it is shown and fused."""

    image: NDArray[np.uint8]
    """(H, W) gray."""
    is_frozen: bool
    """Whether the camera's shutter is closed (FFC): the picture is an earlier one."""
    low: float
    """Count that becomes black; 0 of 8-bit frames."""
    high: float
    """Count that becomes white; 255 of 8-bit frames."""


class GainControl:
    """Makes the gray pictures of one thermal camera's frames, in order. Not for sharing between threads.

    Counts of any width fit: 14 bits, full 16, or radiometric (a fixed number of kelvin a count). 8-bit frames
    come from a camera with a gain control of its own and are passed on; colour, by its luma.

    While the shutter is closed the gain is held, and if the shutter itself is in the picture, the picture too
    (never that of 8-bit frames). A step of the offset, as a shutter event leaves it, does not show.

    Examples:
        >>> import numpy as np
        >>> gain = GainControl("plateau")
        >>> frame = np.random.default_rng(0).integers(7000, 7400, (120, 160), dtype=np.uint16)
        >>> gain(frame, time_ns=0).image.dtype
        dtype('uint8')
    """

    def __init__(
        self,
        policy: AgcPolicy | str = AgcPolicy.percentile,
        *,
        span_kelvin: float | tuple[float, float] | None = None,
        kelvin_per_count: float | None = None,
        kelvin_offset: float = 0.0,
        least_span_counts: float = 64.0,
        settle_s: float = 1.0,
    ) -> None:
        """Set the gain control up.

        Args:
            policy: percentile, plateau or span.
            span_kelvin: For span: (low, high) temperatures that become black and white, or a width, whose
                middle follows the scene's median.
            kelvin_per_count: For span: kelvin of one count.
            kelvin_offset: For span: kelvin at count 0.
            least_span_counts: The range is never narrower, so that noise alone does not fill it.
            settle_s: Time constant of all smoothing, seconds: after it, 63 % of a change are taken over (of
                contrast: of its logarithm).

        Raises:
            UsageError: An unknown policy, or an option that is missing or makes no sense.
        """
        self.policy = AgcPolicy.parse(policy)
        if not least_span_counts >= 1:
            raise UsageError(f"least_span_counts must be 1 or more, not {least_span_counts:g}")
        if not 0 < settle_s < float("inf"):
            raise UsageError(f"settle_s must be a time above 0 seconds, not {settle_s:g}")
        self._span: KelvinSpan | None = None
        if self.policy is AgcPolicy.span:
            self._span = KelvinSpan.of(span_kelvin, kelvin_per_count, kelvin_offset)
        elif span_kelvin is not None:
            raise UsageError(f"span_kelvin belongs to gain control 'span', not to '{self.policy.value}'")
        self._least_span = least_span_counts
        self._settle_s = settle_s
        self._shutter = ShutterDetector()
        self._tracker = RangeTracker(settle_s)
        self._before: NDArray[Any] | None = None
        self._last: ThermalPicture | None = None
        self._time_ns = 0

    def __call__(self, frame: NDArray[Any], time_ns: int) -> ThermalPicture:
        """Return the picture of the next frame.

        Args:
            frame: uint16 (H, W); or uint8, (H, W) or (H, W, 3) BGR.
            time_ns: Capture time, nanoseconds. A repeated call with the frame before costs next to nothing.

        Raises:
            InputError: It is no such frame.
        """
        plane = _checked_plane(frame)
        before, self._before = self._before, plane.copy()
        if before is None or (before.shape, before.dtype) != (plane.shape, plane.dtype):
            self._shutter, self._tracker, self._last = ShutterDetector(), RangeTracker(self._settle_s), None
            changed_share, elapsed_s = 1.0, 0.0
        else:
            changed_share = np.count_nonzero(plane != before) / plane.size
            elapsed_s = (time_ns - self._time_ns) / 1e9
        if self._last is not None and changed_share == 0 and elapsed_s == 0:
            return self._last
        self._time_ns = time_ns
        scene = _thumbnail(plane)
        shutter = self._shutter.see(changed_share, float(scene.std()), time_ns)
        if plane.dtype == np.uint8:
            self._last = ThermalPicture(plane, shutter is not Shutter.open, 0.0, 255.0)
        else:
            self._last = self._controlled(plane, scene, shutter, elapsed_s)
        return self._last

    def _controlled(
        self, frame: NDArray[np.uint16], scene: NDArray[np.float32], shutter: Shutter, elapsed_s: float
    ) -> ThermalPicture:
        if self._last is not None and shutter is Shutter.visible:
            return replace(self._last, is_frozen=True)
        shown = self._tracker.range
        if shown is None or shutter is Shutter.open:
            was_closed = self._last is not None and self._last.is_frozen
            shown = self._followed(CountHistogram(frame), scene, elapsed_s, was_closed)
        image = np.take(_table(shown), frame)
        return ThermalPicture(image, shutter is not Shutter.open, shown.low, shown.high)

    def _followed(
        self, histogram: CountHistogram, scene: NDArray[np.float32], elapsed_s: float, was_closed: bool
    ) -> CountRange:
        if self._span is not None and self._span.low_counts is not None:
            low = self._span.low_counts
            return CountRange(low, low + self._span.width_counts, None)
        # A source that states no times, or starts again, is taken for one of usual rate.
        elapsed_s = elapsed_s if elapsed_s > 0 else _USUAL_INTERVAL_S
        return self._tracker.follow(self._target(histogram), scene, elapsed_s, was_closed=was_closed)

    def _target(self, histogram: CountHistogram) -> CountRange:
        """Return the range that a frame has by itself."""
        if self._span is not None:
            middle, width = histogram.quantile(0.5), self._span.width_counts
        else:
            low, high = histogram.quantile(_TAIL_SHARE), histogram.quantile(1 - _TAIL_SHARE)
            middle, width = (low + high) / 2, max(high - low, self._least_span)
        low, high = middle - width / 2, middle + width / 2
        is_plateau = self.policy is AgcPolicy.plateau
        return CountRange(low, high, histogram.plateau_curve(low, high) if is_plateau else None)


def _checked_plane(frame: Any) -> NDArray[Any]:
    """Return the counts or the luma of a frame, (H, W), rows without gaps, in the machine's byte order."""
    if isinstance(frame, np.ndarray) and frame.ndim == 3 and frame.shape[2] == 1:
        frame = frame[..., 0]
    if not isinstance(frame, np.ndarray) or frame.dtype.kind != "u" or frame.dtype.itemsize != 2:
        checked = checked_frame(frame, "infrared")
        return checked if checked.ndim == 2 else cast(NDArray[Any], cv2.cvtColor(checked, cv2.COLOR_BGR2GRAY))
    if frame.ndim != 2 or frame.size == 0:
        raise InputError(f"a 16-bit thermal frame must be (H, W), not of shape {frame.shape}")
    return np.ascontiguousarray(frame, np.uint16)


def _thumbnail(plane: NDArray[Any]) -> NDArray[np.float32]:
    height, width = plane.shape
    size = (min(width, _THUMBNAIL_PX[0]), min(height, _THUMBNAIL_PX[1]))
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float32)


def _table(shown: CountRange) -> NDArray[np.uint8]:
    """Return the gray level of every count."""
    place = (_COUNTS - np.float32(shown.low)) * np.float32(1 / (shown.high - shown.low))
    np.clip(place, 0, 1, out=place)
    if shown.curve is not None:
        place = np.interp(place, np.linspace(0, 1, len(shown.curve)), shown.curve)
    return np.rint(place * 255).astype(np.uint8)
