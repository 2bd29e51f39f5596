"""Shutter events: flagged soon, never for a scene that stands still, and over without a flash."""

from __future__ import annotations

import numpy as np
import pytest
from thermal_camera import Camera

from refusion.thermal import GainControl

RATE = pytest.mark.parametrize("rate_hz", [9.0, 25.0, 60.0])
BITS = pytest.mark.parametrize("bits", [8, 16])
FEW = 3


def as_8_bit(frame: np.ndarray) -> np.ndarray:
    """What a camera with a gain control of its own would send."""
    return np.clip((frame - 6900.0) * 0.3, 0, 255).astype(np.uint8)


class Feed:
    """A camera behind a gain control."""

    def __init__(self, camera: Camera, bits: int = 16) -> None:
        self.camera, self.bits, self.gain = camera, bits, GainControl()
        self.frame = np.zeros(0, np.uint16)

    def show(self, frame: np.ndarray) -> bool:
        self.frame = frame
        self.picture = self.gain(frame, self.camera.time_ns)
        return self.picture.is_frozen

    def live(self, count: int, scene: np.ndarray | None = None) -> list[bool]:
        frames = (self.camera.frame(scene) for _ in range(count))
        return [self.show(as_8_bit(frame) if self.bits == 8 else frame) for frame in frames]

    def repeat(self, count: int) -> list[bool]:
        flags = []
        for _ in range(count):
            self.camera.index += 1
            flags.append(self.show(self.frame.copy()))
        return flags


@RATE
@BITS
def test_repeated_frames_are_flagged_within_a_few(rate_hz: float, bits: int) -> None:
    feed = Feed(Camera(rate_hz=rate_hz), bits)
    assert not any(feed.live(30))
    count = max(FEW + 1, round(rate_hz))  # a second
    flags = feed.repeat(count)
    assert flags == [False] * (FEW - 1) + [True] * (count - FEW + 1)
    assert not any(feed.live(30))


def test_telemetry_in_a_repeated_frame_does_not_hide_it(camera: Camera) -> None:
    feed = Feed(camera)
    feed.live(20)
    flags = []
    for _ in range(8):
        held = feed.frame.copy()
        held[-1] = camera.rng.integers(0, 65535, 160)
        held[::9, ::9] ^= 1
        camera.index += 1
        flags.append(feed.show(held))
    assert all(flags[FEW:])


def test_a_9_hz_camera_whose_driver_gives_each_frame_three_times() -> None:
    camera = Camera(rate_hz=27.0)
    feed = Feed(camera)
    flags = []
    for _ in range(30):
        flags += feed.live(1) + feed.repeat(2)
    assert not any(flags)
    assert feed.repeat(12)[-6:] == [True] * 6


@BITS
def test_a_scene_without_noise_that_stops_is_not_frozen(bits: int) -> None:
    feed = Feed(Camera(noise=0.0), bits)
    moving = feed.camera.scene()
    for step in range(40):
        moving = np.roll(moving, 1, axis=1) if step % 2 else moving
        assert not any(feed.live(1, moving[:, :160]) if step % 9 == 0 else feed.repeat(1))
    assert not any(feed.repeat(40))


@RATE
def test_what_never_moves_again_is_a_scene_after_seconds(rate_hz: float) -> None:
    feed = Feed(Camera(rate_hz=rate_hz))
    feed.live(30)
    flags = feed.repeat(round(12 * rate_hz))
    assert 4.5 * rate_hz < sum(flags) < 5.5 * rate_hz
    assert not any(flags[round(6 * rate_hz) :])
    assert not any(feed.live(3))


def test_nothing_is_flagged_before_the_camera_is_known(camera: Camera) -> None:
    feed = Feed(camera)
    assert not any(feed.live(4) + feed.repeat(20))


@RATE
def test_a_shutter_in_the_picture_is_flagged_at_once_and_not_shown(rate_hz: float) -> None:
    feed = Feed(Camera(rate_hz=rate_hz))
    feed.live(30)
    before = feed.picture
    shutter = np.full((120, 160), 7550.0)
    assert all(feed.live(round(rate_hz), shutter))
    np.testing.assert_array_equal(feed.picture.image, before.image)
    assert feed.live(1) == [False]
    assert abs(float(feed.picture.image.mean()) - float(before.image.mean())) < 1.5


def test_a_shutter_in_the_picture_of_8_bits_is_flagged_and_passed(camera: Camera) -> None:
    feed = Feed(camera, bits=8)
    feed.live(30)
    assert all(feed.live(5, np.full((120, 160), 7550.0)))
    np.testing.assert_array_equal(feed.picture.image, feed.frame)


def test_a_covered_lens_is_a_scene_after_seconds(camera: Camera) -> None:
    feed = Feed(camera)
    feed.live(30)
    flags = feed.live(90, np.full((120, 160), 7550.0))
    assert all(flags[:18])
    assert not any(flags[20:])
    assert not any(feed.live(20))


def test_a_slow_turn_to_an_even_sky_is_no_shutter(camera: Camera) -> None:
    feed = Feed(camera)
    feed.live(20)
    sky = np.full((120, 160), 7000.0)
    for share in np.linspace(0, 1, 8):
        assert feed.live(1, (1 - share) * camera.scene() + share * sky) == [False]
    assert not any(feed.live(20, sky))


@pytest.mark.parametrize("policy", ["percentile", "plateau"])
@pytest.mark.parametrize("offset", [-400.0, 25.0, 600.0])
def test_the_gain_is_held_and_the_new_offset_does_not_flash(
    policy: str, offset: float, camera: Camera
) -> None:
    feed = Feed(camera)
    feed.gain = GainControl(policy)
    feed.live(30)
    held = (feed.picture.low, feed.picture.high)
    levels = [float(feed.picture.image.mean())]
    feed.repeat(9)
    assert (feed.picture.low, feed.picture.high) == pytest.approx(held, abs=1)
    camera.offset = offset
    for _ in range(20):
        assert feed.live(1) == [False]
        levels.append(float(feed.picture.image.mean()))
    assert np.abs(np.diff(levels)).max() < 1.0
    assert feed.picture.low == pytest.approx(held[0] + offset, abs=6)
