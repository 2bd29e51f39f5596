"""The output range: which values of the fused luma become black and white.

The official script stretches each image to its own minimum and maximum. That is right for stills; on
video it makes the brightness pump, so a stream has a range that hardly ever moves:

- It is a little wider than the frame it began with, and as long as the extremes of the frames stay in a band
  at its bounds, it stands still. Noise and glints do not reach it.
- Where they leave the band the bound follows, more quickly outwards than inwards, and never faster than one
  percent of the range a frame: what stays as it is may not seem to change.
- Nothing is clipped: values beyond the range are compressed into a few gray levels, short of black and white.
- A scene cut, or another size of frames, starts anew.
"""

from __future__ import annotations

import enum

import numpy as np
from numpy.typing import NDArray

from refusion import ops
from refusion.choices import chosen

Range = tuple[float, float]

# Margin of a new range beyond its frame's extremes, of the distance of these.
HEADROOM = 0.02
# A bound stays while the extreme is inside of it by at most this share of the range.
BAND = 0.06
# Share of the way to the band that a bound goes in a frame: half of it in 7 frames outwards, in 34 inwards.
EXPANSION, CONTRACTION = 0.1, 0.02
# A bound moves by at most this share of the range in a frame.
LARGEST_STEP = 0.01
# The range is never narrower: noise is not raised more than five times.
LEAST_RANGE = 0.2
# Gray levels at either end for what is beyond the range.
SHOULDER = 10.0
# Mean absolute change of the fused luma, between frames, that counts as a scene cut.
SCENE_CUT = 0.15
# A scene cut shows on a coarse grid too; comparing that costs next to nothing.
CUT_STRIDE = 8


class RangePolicy(enum.Enum):
    """How the output range is chosen."""

    image = "image"
    """Each image's own minimum and maximum, as the official script does."""
    tracked = "tracked"
    """Steady over the frames of a stream."""
    off = "off"
    """The network's values as they are."""

    @classmethod
    def parse(cls, name: str | RangePolicy) -> RangePolicy:
        """Return the policy of that name.

        Raises:
            UsageError: There is no such policy.
        """
        return chosen(cls, name, called="range policy")


class OutputRange:
    """Gives the range of each fused frame of one stream, in order. Not for sharing between threads."""

    def __init__(self, policy: RangePolicy) -> None:
        self.policy = policy
        self._tracked: Range | None = None
        self._thumbnail: NDArray[np.float32] | None = None

    @property
    def shoulder(self) -> float:
        """Gray levels at either end that are kept for values beyond the range."""
        return SHOULDER if self.policy is RangePolicy.tracked else 0.0

    def of(self, fused: NDArray[np.float32]) -> Range | None:
        """Return (low, high) for a fused luma, float32 (H, W); None leaves the values as they are."""
        if self.policy is RangePolicy.off:
            return None
        current = ops.value_range(fused)
        return current if self.policy is RangePolicy.image else self._follow(fused, current)

    def _follow(self, fused: NDArray[np.float32], current: Range) -> Range:
        thumbnail = fused[::CUT_STRIDE, ::CUT_STRIDE].copy()
        before, self._thumbnail = self._thumbnail, thumbnail
        extremes = _limited(current[0]), _limited(current[1])
        if self._tracked is None or before is None or _is_cut(before, thumbnail):
            self._tracked = _widened(extremes, HEADROOM)
        else:
            self._tracked = _moved(self._tracked, _widened(extremes, 0.0))
        return self._tracked


def _limited(value: float) -> float:
    return min(max(value, 0.0), 1.0)


def _widened(extremes: Range, margin: float) -> Range:
    """Return a range with a margin on both sides, inside of [0, 1] and not too narrow."""
    low, high = extremes
    width = high - low
    wider = max(margin * width, 0.5 * (LEAST_RANGE - width))
    return max(min(low - wider, 1.0 - LEAST_RANGE), 0.0), min(max(high + wider, LEAST_RANGE), 1.0)


def _moved(tracked: Range, extremes: Range) -> Range:
    low, high = tracked
    width = high - low
    return low - _step(low - extremes[0], width), high + _step(extremes[1] - high, width)


def _step(outwards: float, width: float) -> float:
    """Return how far a bound moves outwards, given how far the extreme is outside of it."""
    if outwards > 0.0:
        return min(EXPANSION * outwards, LARGEST_STEP * width)
    inwards = -outwards - BAND * width
    return -min(CONTRACTION * inwards, LARGEST_STEP * width) if inwards > 0.0 else 0.0


def _is_cut(before: NDArray[np.float32], after: NDArray[np.float32]) -> bool:
    return before.shape != after.shape or bool(np.abs(after - before).mean() > SCENE_CUT)
