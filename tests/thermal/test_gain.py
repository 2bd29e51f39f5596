"""Gain control: contrast, steadiness over time, and what thermal cameras do wrong."""

from __future__ import annotations

import numpy as np
import pytest
from thermal_camera import Camera

from refusion.errors import InputError, UsageError
from refusion.thermal import AgcPolicy, GainControl, ThermalPicture

AUTOMATIC = pytest.mark.parametrize("policy", ["percentile", "plateau"])
RATE = pytest.mark.parametrize("rate_hz", [9.0, 30.0])


def run(gain: GainControl, camera: Camera, count: int, scene: np.ndarray | None = None) -> ThermalPicture:
    for _ in range(count):
        frame = camera.frame(scene)
        picture = gain(frame, camera.time_ns)
    return picture


def level(picture: ThermalPicture) -> float:
    return float(picture.image.mean())


@AUTOMATIC
@pytest.mark.parametrize("level", [300.0, 7300.0, 29815.0, 65000.0])
def test_the_scene_fills_the_gray_levels_wherever_its_counts_are(policy: str, level: float) -> None:
    picture = GainControl(policy)(Camera(level=level).frame(), 0)
    assert (picture.image.dtype, picture.image.shape) == (np.uint8, (120, 160))
    assert np.percentile(picture.image, 1) < 12
    assert np.percentile(picture.image, 99) > 243
    assert picture.image.std() > 50


@AUTOMATIC
def test_the_first_frame_decides_at_once_and_order_is_kept(policy: str) -> None:
    frame = Camera().frame()
    picture = GainControl(policy)(frame, 0)
    by_count = picture.image.reshape(-1)[np.argsort(frame, axis=None)]
    assert (np.diff(by_count.astype(int)) >= 0).all()
    assert frame.min() < picture.low < picture.high < frame.max()


def test_plateau_gives_an_even_scene_more_contrast_than_a_straight_line(camera: Camera) -> None:
    scene = np.full((120, 160), 7300.0)
    scene[:, :80] += np.linspace(0, 30, 80)  # faint detail
    scene[50:70, 120:140] += 2000.0  # and something hot that takes most of a straight line
    frame = camera.frame(scene)
    faint = {
        policy: GainControl(policy)(frame, 0).image[:, :80].std() for policy in ("percentile", "plateau")
    }
    assert 2 < faint["plateau"] / faint["percentile"] <= 4.2


def test_plateau_does_not_blow_up_the_noise_of_a_sky(camera: Camera) -> None:
    scene = np.full((120, 160), 7300.0)
    scene[100:] += np.linspace(0, 800, 160)
    pictures = {
        policy: GainControl(policy)(camera.frame(scene), 0).image
        for policy in AgcPolicy
        if policy is not AgcPolicy.span
    }
    sky = {policy: image[:100].std() for policy, image in pictures.items()}
    assert sky[AgcPolicy.plateau] < 4.2 * sky[AgcPolicy.percentile]


@AUTOMATIC
@RATE
def test_a_change_is_taken_over_in_seconds_at_any_rate(policy: str, rate_hz: float) -> None:
    camera, gain = Camera(rate_hz=rate_hz), GainControl(policy, settle_s=1.0)
    narrow = run(gain, camera, 3)
    warmer = camera.scene()
    warmer[30:90, 60:84] += 500.0
    after = run(gain, camera, round(rate_hz), warmer)
    settled = run(gain, camera, round(6 * rate_hz), warmer)
    spans = [np.log(picture.high - picture.low) for picture in (narrow, after, settled)]
    assert (spans[1] - spans[0]) / (spans[2] - spans[0]) == pytest.approx(0.632, abs=0.05)


@AUTOMATIC
@RATE
def test_a_hot_spot_that_enters_leaves_the_rest_steady(policy: str, rate_hz: float) -> None:
    camera, gain = Camera(rate_hz=rate_hz), GainControl(policy)
    before = run(gain, camera, 20).image.astype(int)
    spot = camera.scene()
    spot[5:12, 5:12] = 12000.0  # 0.26 % of the picture
    for _ in range(round(2 * rate_hz)):
        after = run(gain, camera, 1, spot).image.astype(int)
    assert abs(np.median(after - before)) <= 4
    large = camera.scene()
    large[:60, :40] = 12000.0  # an eighth
    levels = [level(run(gain, camera, 1, spot))]
    for _ in range(round(rate_hz)):
        levels.append(float(run(gain, camera, 1, large).image[60:].mean()))
    per_second = np.abs(np.diff(levels[1:])) * rate_hz
    assert per_second.max() < 350


@AUTOMATIC
def test_another_scene_decides_at_once(policy: str, camera: Camera) -> None:
    gain = GainControl(policy)
    run(gain, camera, 20)
    outside = 5000 + 900 * np.random.default_rng(1).random((6, 8)).repeat(20, 0).repeat(20, 1)
    picture = run(gain, camera, 1, outside)
    fresh = GainControl(policy)(camera.frame(outside), 0)
    assert (picture.low, picture.high) == pytest.approx((fresh.low, fresh.high), abs=5)


@AUTOMATIC
def test_another_size_begins_anew(policy: str, camera: Camera) -> None:
    gain = GainControl(policy)
    run(gain, camera, 20)
    frame = (camera.frame().astype(int) + 3000).astype(np.uint16)[:60, :80]
    picture, fresh = gain(frame, camera.time_ns), GainControl(policy)(frame, 0)
    np.testing.assert_array_equal(picture.image, fresh.image)


@AUTOMATIC
def test_a_step_of_the_offset_does_not_flash(policy: str, camera: Camera) -> None:
    gain = GainControl(policy)
    levels = [level(run(gain, camera, 1)) for _ in range(20)]
    for offset in (180.0, -150.0):
        camera.offset += offset
        levels += [level(run(gain, camera, 1)) for _ in range(10)]
    assert np.abs(np.diff(levels)).max() < 1.0


@AUTOMATIC
def test_sensor_noise_alone_does_not_flicker(policy: str) -> None:
    camera, gain = Camera(noise=8.0), GainControl(policy)
    levels = [level(run(gain, camera, 1)) for _ in range(40)]
    assert np.abs(np.diff(levels)).mean() < 0.3


@AUTOMATIC
@pytest.mark.parametrize("value", [0, 12000, 16383, 65535])
def test_dead_pixels_and_lines_do_not_count(policy: str, value: int, camera: Camera) -> None:
    frame = camera.frame()
    healthy = GainControl(policy)(frame, 0)
    broken = frame.copy()
    broken[17] = broken[18] = broken[:, 90] = value
    broken[np.random.default_rng(0).random(frame.shape) < 0.001] = value
    picture = GainControl(policy)(broken, 0)
    assert (picture.low, picture.high) == pytest.approx((healthy.low, healthy.high), rel=0.005)
    alive = broken != value
    assert np.abs(picture.image.astype(int) - healthy.image)[alive].mean() < 2


@AUTOMATIC
@pytest.mark.parametrize("value", [0, 1, 7300, 65535])
@pytest.mark.parametrize("shape", [(1, 1), (120, 160), (3, 500)])
def test_a_constant_frame_is_a_constant_picture(policy: str, value: int, shape: tuple[int, int]) -> None:
    picture = GainControl(policy)(np.full(shape, value, np.uint16), 0)
    assert picture.image.shape == shape
    assert 120 <= picture.image.min() == picture.image.max() <= 136


@AUTOMATIC
def test_noise_alone_does_not_fill_the_gray_levels(policy: str, camera: Camera) -> None:
    picture = GainControl(policy)(camera.frame(np.full((120, 160), 7300.0)), 0)
    assert picture.high - picture.low == 64
    assert picture.image.std() < 4 * 255 * 4.0 / 64


def test_a_fixed_span_shows_a_temperature_always_alike(camera: Camera) -> None:
    gain = GainControl("span", span_kelvin=(290.0, 310.0), kelvin_per_count=0.04)
    camera.noise = 0.0
    picture = run(gain, camera, 1, np.full((4, 4), 300.0 / 0.04))
    assert (picture.low, picture.high) == (7250.0, 7750.0)
    assert (picture.image == 128).all()
    assert (run(gain, camera, 1, np.full((4, 4), 289.0 / 0.04)).image == 0).all()
    assert (run(gain, camera, 1, np.full((4, 4), 305.0 / 0.04)).image == 191).all()


def test_a_span_with_an_offset_in_kelvin(camera: Camera) -> None:
    gain = GainControl("span", span_kelvin=(0.0, 100.0), kelvin_per_count=0.01, kelvin_offset=-273.15)
    assert run(gain, camera, 1).low == pytest.approx(27315)


def test_a_span_of_a_width_follows_the_middle_of_the_scene(camera: Camera) -> None:
    gain = GainControl("span", span_kelvin=20.0, kelvin_per_count=0.01)
    picture = run(gain, camera, 5)
    assert picture.high - picture.low == pytest.approx(2000)
    assert (picture.low + picture.high) / 2 == pytest.approx(np.median(camera.scene()), abs=5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"policy": "auto"}, "no gain control 'auto'; choose one of percentile, plateau, span"),
        ({"policy": "span"}, "needs span_kelvin and kelvin_per_count"),
        ({"policy": "span", "span_kelvin": 20.0}, "needs span_kelvin and kelvin_per_count"),
        ({"policy": "span", "span_kelvin": 20.0, "kelvin_per_count": 0.0}, "must be above 0, not 0"),
        (
            {"policy": "span", "span_kelvin": (310.0, 290.0), "kelvin_per_count": 0.01},
            r"not \(310.0, 290.0\)",
        ),
        ({"policy": "span", "span_kelvin": -5.0, "kelvin_per_count": 0.01}, "must be a width above 0"),
        ({"span_kelvin": 20.0}, "span_kelvin belongs to gain control 'span', not to 'percentile'"),
        ({"settle_s": 0.0}, "settle_s must be a time above 0 seconds, not 0"),
        ({"least_span_counts": 0.0}, "least_span_counts must be 1 or more, not 0"),
    ],
)
def test_bad_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        GainControl(**options)  # type: ignore[arg-type]


def test_8_bit_frames_pass_and_colour_becomes_luma() -> None:
    gain = GainControl()
    gray = np.random.default_rng(0).integers(0, 256, (12, 16), np.uint8)
    picture = gain(gray, 0)
    np.testing.assert_array_equal(picture.image, gray)
    assert (picture.low, picture.high, picture.is_frozen) == (0.0, 255.0, False)
    blue = np.zeros((12, 16, 3), np.uint8)
    blue[..., 0] = 200
    assert (gain(blue, 1).image == 23).all()


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (np.zeros((4, 4, 3), np.uint16), r"16-bit thermal frame must be \(H, W\), not of shape \(4, 4, 3\)"),
        (np.zeros((0, 4), np.uint16), r"not of shape \(0, 4\)"),
        (np.zeros((4, 4), np.float32), "infrared must be uint8 .*, not float32"),
        ([[1]], "must be a NumPy array, not list"),
    ],
)
def test_what_is_no_thermal_frame_is_refused(frame: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        GainControl()(frame, 0)


def test_layout_in_memory_does_not_matter(camera: Camera) -> None:
    frame = camera.frame()
    expected = GainControl()(frame, 0).image
    wide = np.zeros((240, 320), np.uint16)
    wide[::2, ::2] = frame
    for other in (frame.astype(">u2"), wide[::2, ::2], frame[..., np.newaxis], np.asfortranarray(frame)):
        np.testing.assert_array_equal(GainControl()(other, 0).image, expected)


def test_the_same_frame_again_gives_the_same_picture(camera: Camera) -> None:
    gain = GainControl()
    first = gain(camera.frame(), camera.time_ns)
    frame = camera.frame()
    second = gain(frame, camera.time_ns)
    assert gain(frame.copy(), camera.time_ns) is second
    assert second is not first


def test_a_source_without_times_is_followed_too(camera: Camera) -> None:
    gain = GainControl()
    narrow = gain(camera.frame(), 0)
    warmer = camera.scene()
    warmer[30:90, 60:84] += 500.0
    for _ in range(50):
        picture = gain(camera.frame(warmer), 0)
    assert picture.high > narrow.high + 300
