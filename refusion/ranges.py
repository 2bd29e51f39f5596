"""The output range: which values of the fused luma become black and white.

The official script stretches each image to its own minimum and maximum. That is right for stills; on
video it makes the brightness pump, so a stream's range is followed slowly and reset on a scene cut.
"""

from __future__ import annotations

import enum

import numpy as np
from numpy.typing import NDArray

from refusion import ops
from refusion.errors import UsageError

Range = tuple[float, float]

# Share of the new frame in the tracked range: a change is half taken over after 14 frames (half a second).
TRACKING_RATE = 0.05
# Mean absolute change of the fused luma, between frames, that counts as a scene cut.
SCENE_CUT = 0.15
# A scene cut shows on a coarse grid too; comparing that costs next to nothing.
CUT_STRIDE = 8


class RangePolicy(enum.Enum):
    """How the output range is chosen."""

    image = "image"
    """Each image's own minimum and maximum, as the official script does."""
    tracked = "tracked"
    """Smoothed over the frames of a stream."""
    off = "off"
    """The network's values as they are."""

    @classmethod
    def parse(cls, name: str | RangePolicy) -> RangePolicy:
        """Return the policy of that name.

        Raises:
            UsageError: There is no such policy.
        """
        try:
            return cls(name)
        except ValueError:
            known = ", ".join(policy.value for policy in cls)
            raise UsageError(f"there is no range policy '{name}'; choose one of {known}") from None


class OutputRange:
    """Gives the range of each fused frame of one stream, in order. Not for sharing between threads."""

    def __init__(self, policy: RangePolicy) -> None:
        self.policy = policy
        self._tracked: Range | None = None
        self._thumbnail: NDArray[np.float32] | None = None

    def of(self, fused: NDArray[np.float32]) -> Range | None:
        """Return (low, high) for a fused luma, float32 (H, W); None leaves the values as they are."""
        if self.policy is RangePolicy.off:
            return None
        current = ops.value_range(fused)
        return current if self.policy is RangePolicy.image else self._follow(fused, current)

    def _follow(self, fused: NDArray[np.float32], current: Range) -> Range:
        thumbnail = fused[::CUT_STRIDE, ::CUT_STRIDE].copy()
        before, self._thumbnail = self._thumbnail, thumbnail
        if self._tracked is None or before is None or _is_cut(before, thumbnail):
            self._tracked = current
        else:
            low, high = self._tracked
            self._tracked = (
                low + TRACKING_RATE * (current[0] - low),
                high + TRACKING_RATE * (current[1] - high),
            )
        return self._tracked


def _is_cut(before: NDArray[np.float32], after: NDArray[np.float32]) -> bool:
    return before.shape != after.shape or bool(np.abs(after - before).mean() > SCENE_CUT)
