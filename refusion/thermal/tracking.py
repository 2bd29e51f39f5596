"""The range of counts that a stream's gain control shows, followed over time."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_CUT_SHARE = 0.25
"""Mean change of the scene, of the shown range, that counts as another scene."""
_STEP_SHARE = 0.02
_EVEN_SHARE = 0.25
"""A change of more than the first share of the range, from which half of the scene differs by less than the
second share of it, is a step of the camera's offset."""


class CountRange(NamedTuple):
    """Counts that become black and white, and the curve between: 0 to 1 at even steps, or None: straight."""

    low: float
    high: float
    curve: NDArray[np.float64] | None


class RangeTracker:
    """Follows the range of one camera: smoothly, at once on another scene, along with offset steps."""

    def __init__(self, settle_s: float) -> None:
        self._settle_s = settle_s
        self._scene: NDArray[np.float32] | None = None
        self.range: CountRange | None = None
        """The range to be shown; None before the first frame."""

    def follow(
        self, target: CountRange, scene: NDArray[np.float32], elapsed_s: float, *, was_closed: bool
    ) -> CountRange:
        """Take the range that a frame has by itself, and return the one to show it with.

        Args:
            target: Of the frame.
            scene: The frame, small, with the noise averaged away; in counts.
            elapsed_s: Since the frame before.
            was_closed: Whether the shutter was closed in between, after which the offset is another.
        """
        before, self._scene = self._scene, scene
        if self.range is None or before is None:
            self.range = target
            return target
        change = scene - before
        step = float(np.median(change))
        rest = np.abs(change - step)
        span = self.range.high - self.range.low
        if float(np.minimum(rest, span).mean()) > _CUT_SHARE * span:
            self.range = target
            return target
        is_even = abs(step) > _STEP_SHARE * span and float(np.median(rest)) < _EVEN_SHARE * abs(step)
        offset = step if was_closed or is_even else 0.0
        shown = CountRange(self.range.low + offset, self.range.high + offset, self.range.curve)
        self.range = _between(shown, target, -math.expm1(-elapsed_s / self._settle_s))
        return self.range


def _between(before: CountRange, after: CountRange, share: float) -> CountRange:
    """Return the range that is this share of the way from one to the other.

    The width goes by its logarithm: something very hot would otherwise take all contrast in a few frames.
    """
    span = before.high - before.low
    growth = (after.high - after.low) / span
    along = share if abs(growth - 1) < 1e-6 else (growth**share - 1) / (growth - 1)
    curve = after.curve
    if before.curve is not None and after.curve is not None:
        curve = before.curve + share * (after.curve - before.curve)
    return CountRange(
        before.low + along * (after.low - before.low), before.high + along * (after.high - before.high), curve
    )
