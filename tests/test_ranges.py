"""The output range: steady, never clipping, and not blind to what changes."""

from __future__ import annotations

import numpy as np
import pytest

from refusion import UsageError, ops
from refusion.ranges import BAND, LARGEST_STEP, LEAST_RANGE, OutputRange, RangePolicy
from refusion.tasks import Chroma


def plane(low: float, high: float) -> np.ndarray:
    """A ramp from low to high."""
    return np.linspace(low, high, 64 * 64, dtype=np.float32).reshape(64, 64)


def tracker() -> OutputRange:
    return OutputRange(RangePolicy.tracked)


def followed(follower: OutputRange, frame: np.ndarray, count: int = 1) -> np.ndarray:
    """The ranges over that many equal frames, (count, 2)."""
    return np.array([follower.of(frame) for _ in range(count)])


def test_image_takes_each_images_own_range_and_off_none() -> None:
    follower = OutputRange(RangePolicy.image)
    assert follower.of(plane(0.25, 0.5)) == (0.25, 0.5)
    assert follower.of(plane(0.0, 1.0)) == (0.0, 1.0)
    assert OutputRange(RangePolicy.off).of(plane(0.25, 0.5)) is None


def test_only_a_tracked_range_has_a_shoulder() -> None:
    shoulders = {policy.name: OutputRange(policy).shoulder for policy in RangePolicy}
    assert shoulders == {"image": 0, "tracked": 10, "off": 0}


def test_a_tracked_range_starts_a_little_wider_than_the_first_frame() -> None:
    assert tracker().of(plane(0.2, 0.7)) == pytest.approx((0.19, 0.71))
    assert tracker().of(plane(0.0, 1.0)) == (0.0, 1.0)
    assert tracker().of(plane(0.002, 0.995)) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("extremes", "expected"),
    [
        ((0.5, 0.5), (0.4, 0.6)),
        ((0.0, 0.0), (0.0, 0.2)),
        ((1.0, 1.0), (0.8, 1.0)),
        ((0.48, 0.5), (0.39, 0.59)),
    ],
)
def test_an_even_picture_is_not_stretched_to_its_noise(
    extremes: tuple[float, float], expected: tuple[float, float]
) -> None:
    ranges = followed(tracker(), plane(*extremes), 500)
    assert ranges[0] == pytest.approx(expected)
    assert (np.ptp(ranges, axis=1) >= LEAST_RANGE - 1e-9).all()


def test_values_that_are_no_numbers_or_beyond_the_scale_do_not_count() -> None:
    frame = plane(-3.0, 2.0)
    frame[0] = np.nan, *([np.inf] * 63)
    assert tracker().of(frame) == (0.0, 1.0)


def test_noise_and_glints_do_not_move_a_tracked_range() -> None:
    follower, random = tracker(), np.random.default_rng(0)
    scene = plane(0.2, 0.6)
    first = follower.of(scene)
    for number in range(100):
        noisy = scene + random.normal(0, 0.002, scene.shape).astype(np.float32)
        noisy[0, 0] = 0.6 + 0.007 * (number % 2)
        assert follower.of(noisy) == first


def test_a_flash_moves_a_tracked_range_by_one_percent_and_lets_it_be() -> None:
    follower, steady = tracker(), plane(0.2, 0.6)
    before = follower.of(steady)
    flash = steady.copy()
    flash[0, 0] = 1.0
    after = followed(follower, flash)[0]
    assert before is not None
    assert after - before == pytest.approx((0, LARGEST_STEP * (before[1] - before[0])))
    assert (followed(follower, steady, 50) == after).all()


@pytest.mark.parametrize(
    ("before", "after"), [((0.3, 0.6), (0.1, 0.9)), ((0.1, 0.9), (0.3, 0.6)), ((0.2, 0.5), (0.3, 0.6))]
)
def test_a_change_is_followed_in_small_steps(before: tuple[float, float], after: tuple[float, float]) -> None:
    follower = tracker()
    followed(follower, plane(*before))
    ranges = followed(follower, plane(*after), 600)
    steps = np.abs(np.diff(ranges, axis=0)).max(axis=1)
    assert (steps <= (LARGEST_STEP + 1e-9) * np.ptp(ranges[:-1], axis=1)).all()
    assert steps[-1] < 1e-4
    low, high = ranges[-1]
    slack = (BAND + 0.01) * (high - low)
    assert after[0] - slack < low < after[0] + 0.01
    assert after[1] - 0.01 < high < after[1] + slack


def test_a_range_grows_sooner_than_it_shrinks() -> None:
    grown, shrunk = tracker(), tracker()
    followed(grown, plane(0.35, 0.65))
    followed(shrunk, plane(0.1, 0.9))
    wider, narrower = followed(grown, plane(0.1, 0.9), 40)[-1], followed(shrunk, plane(0.35, 0.65), 40)[-1]
    assert (np.ptp(wider) - 0.3) / 0.5 > 0.6
    assert (0.8 - np.ptp(narrower)) / 0.5 < 0.5


def test_a_tracked_range_starts_anew_at_a_scene_cut_and_a_change_of_size() -> None:
    follower = tracker()
    follower.of(plane(0.0, 0.3))
    assert follower.of(plane(0.4, 0.9)) == pytest.approx((0.39, 0.91))
    assert follower.of(plane(0.4, 0.9)[:32]) == tracker().of(plane(0.4, 0.9)[:32])


def test_what_enters_a_flat_scene_is_never_clipped_and_dims_nothing_at_once() -> None:
    follower, gray = tracker(), np.zeros((64, 64), np.uint8)

    def shown(fused: np.ndarray) -> np.ndarray:
        return ops.postprocess(
            fused,
            gray,
            gray,
            chroma=Chroma.NONE,
            value_range=follower.of(fused),
            shoulder=follower.shoulder,
        )

    scene = plane(0.4, 0.6)
    level = float(shown(scene)[32:].mean())
    lit = scene.copy()
    lit[4:20, 4:20] = np.linspace(0.65, 0.95, 256, dtype=np.float32).reshape(16, 16)
    for _ in range(300):
        picture = shown(lit)
        lamp = picture[4:20, 4:20]
        assert lamp.max() < 255
        assert len(np.unique(lamp)) >= 8
        now = float(picture[32:].mean())
        assert abs(now - level) < 2.6  # 1 % of the gray levels
        level = now


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(UsageError, match="no range policy 'auto'; choose one of image, tracked, off"):
        RangePolicy.parse("auto")
