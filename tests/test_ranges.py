from __future__ import annotations

import numpy as np
import pytest

from refusion import UsageError
from refusion.ranges import OutputRange, RangePolicy


def plane(low: float, high: float) -> np.ndarray:
    """A ramp from low to high."""
    return np.linspace(low, high, 64 * 64, dtype=np.float32).reshape(64, 64)


def test_image_takes_each_images_own_range_and_off_none() -> None:
    follower = OutputRange(RangePolicy.image)
    assert follower.of(plane(0.25, 0.5)) == (0.25, 0.5)
    assert follower.of(plane(0.0, 1.0)) == (0.0, 1.0)
    assert OutputRange(RangePolicy.off).of(plane(0.25, 0.5)) is None


def test_tracked_starts_at_the_first_range_and_follows_slowly() -> None:
    follower = OutputRange(RangePolicy.tracked)
    assert follower.of(plane(0.2, 0.8)) == pytest.approx((0.2, 0.8))
    low, high = follower.of(plane(0.2, 0.9)) or (0.0, 0.0)
    assert low == pytest.approx(0.2)
    assert 0.8 < high < 0.82
    for _ in range(200):
        last = follower.of(plane(0.2, 0.9))
    assert last == pytest.approx((0.2, 0.9), abs=1e-3)


def test_tracked_jumps_at_a_scene_cut_and_a_change_of_size() -> None:
    follower = OutputRange(RangePolicy.tracked)
    follower.of(plane(0.0, 0.3))
    assert follower.of(plane(0.4, 1.0)) == pytest.approx((0.4, 1.0))
    assert follower.of(plane(0.4, 0.9)[:32]) == pytest.approx((0.4, 0.65), abs=0.01)


def test_a_single_flash_hardly_moves_a_tracked_range() -> None:
    follower = OutputRange(RangePolicy.tracked)
    steady = plane(0.2, 0.6)
    before = follower.of(steady)
    flash = steady.copy()
    flash[0, 0] = 1.0
    after = follower.of(flash)
    assert before is not None
    assert after is not None
    assert after[1] - before[1] < 0.03


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(UsageError, match="no range policy 'auto'; choose one of image, tracked, off"):
        RangePolicy.parse("auto")
