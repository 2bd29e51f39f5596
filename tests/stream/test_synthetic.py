"""The synthetic source: deterministic, registered, smooth, and with something for fusion to show."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from refusion.errors import UsageError
from refusion.stream.synthetic import SyntheticScene
from refusion.stream.synthetic.camera import Camera
from refusion.stream.synthetic.layout import Layout

FIGURE_LEVEL = 150
"""Infrared gray level that only people, animals, lamp heads and engines reach."""


@pytest.fixture(scope="module")
def scene() -> SyntheticScene:
    return SyntheticScene(width_px=320, height_px=240)


def test_pair_has_an_infrared_and_a_visible_frame(scene: SyntheticScene) -> None:
    pair = scene.pair(50)
    assert (pair.a.shape, pair.a.dtype) == ((240, 320), np.uint8)
    assert (pair.b.shape, pair.b.dtype) == ((240, 320, 3), np.uint8)
    assert pair.time_ns == 2_000_000_000


def test_random_access_equals_sequence(scene: SyntheticScene) -> None:
    other = SyntheticScene(width_px=320, height_px=240)
    in_order = list(other.frames(4))
    for index in (3, 0, 2):
        pair = scene.pair(index)
        np.testing.assert_array_equal(pair.a, in_order[index].a)
        np.testing.assert_array_equal(pair.b, in_order[index].b)


@pytest.mark.parametrize("change", [{"seed": 1}, {"rate_hz": 10.0}])
def test_settings_change_the_pictures(scene: SyntheticScene, change: dict[str, float]) -> None:
    settings: dict[str, float] = {"seed": 0, "rate_hz": 25.0, **change}
    other = SyntheticScene(
        width_px=320, height_px=240, seed=int(settings["seed"]), rate_hz=settings["rate_hz"]
    )
    moved = np.abs(scene.pair(30).a.astype(int) - other.pair(30).a) > 40
    assert moved.mean() > 0.002


def test_pair_of_same_time_shows_same_scene_at_any_rate(scene: SyntheticScene) -> None:
    fast = SyntheticScene(width_px=320, height_px=240, rate_hz=50)
    difference = np.abs(scene.pair(20).a.astype(int) - fast.pair(40).a)
    assert difference.max() < 15  # Sensor noise alone.


def test_figures_are_warm_in_infrared_and_faint_in_visible(scene: SyntheticScene) -> None:
    pair = scene.pair(0)
    camera, walkers = Camera(320, 240), Layout.of(0, Camera(320, 240)).walkers
    gray = pair.b.astype(float).mean(axis=2)
    hidden = walkers[1:3]  # In the smoke, and in the shadow of the trees.
    for walker in hidden:
        x, y = camera.project(walker.x_m(0), 1.2, walker.z_m)
        half = round(0.9 * camera.scale_px(walker.z_m))
        rows = slice(round(y) - half, round(y) + half)
        columns = slice(round(x) - half, round(x) + half)
        figure = pair.a[rows, columns] > FIGURE_LEVEL
        assert 0.05 < figure.mean() < 0.6
        infrared, visible = pair.a[rows, columns].astype(float), gray[rows, columns]
        assert infrared[figure].mean() - infrared[~figure].mean() > 80
        assert abs(visible[figure].mean() - visible[~figure].mean()) < 20


def test_texture_is_in_the_visible_view(scene: SyntheticScene) -> None:
    pair = scene.pair(0)
    camera = Camera(320, 240)
    shop = Layout.of(0, camera).shops[1]
    corners = [
        camera.project(-6.0, y, shop.start_m + along) for y, along in ((3.2, 0.3), (0.6, shop.length_m - 0.3))
    ]
    (left, top), (right, bottom) = corners
    area = (slice(round(top), round(bottom)), slice(round(left), round(right)))
    assert pair.b[area].std() > 4 * pair.a[area].std()
    sky = (slice(0, 20), slice(170, 240))
    assert pair.a[sky].mean() < 40


def test_views_are_registered(scene: SyntheticScene) -> None:
    """A lit person's outline lies at the same place in both views: shifting one of them fits worse."""
    time_index, walker = 100, Layout.of(0, Camera(320, 240)).walkers[1]
    camera = Camera(320, 240)
    pair = scene.pair(time_index)
    x, y = camera.project(walker.x_m(time_index / 25), 0.9, walker.z_m)
    rows, centre = slice(round(y) - 25, round(y) + 25), round(x)
    visible = pair.b.astype(float).mean(axis=2)
    still = SyntheticScene(width_px=320, height_px=240).pair(0).b.astype(float).mean(axis=2)
    changed = np.abs(visible - still)[rows, centre - 30 : centre + 30]

    def overlap(shift: int) -> float:
        warm = pair.a[rows, centre - 30 + shift : centre + 30 + shift] > FIGURE_LEVEL
        return float(changed[warm].mean() - changed[~warm].mean())

    fits = {shift: overlap(shift) for shift in range(-12, 13, 2)}
    assert abs(max(fits, key=lambda shift: fits[shift])) <= 2


@pytest.mark.parametrize("start", [0, 500, 4000])
def test_motion_is_smooth(start: int) -> None:
    """Nothing pops up or jumps: from one frame to the next only a small part of the picture changes."""
    scene = SyntheticScene(width_px=160, height_px=120, seed=2)
    pairs = [scene.pair(start + index) for index in range(12)]
    for before, after in itertools.pairwise(pairs):
        assert (np.abs(after.a.astype(int) - before.a) > 30).mean() < 0.02
        assert (np.abs(after.b.astype(int) - before.b).max(axis=2) > 60).mean() < 0.02


def test_nobody_is_seen_appearing() -> None:
    """Walkers and the car start over where houses or the frame's edge hide them."""
    camera = Camera(160, 120)
    scene = SyntheticScene(width_px=160, height_px=120, rate_hz=100)
    layout = Layout.of(0, camera)
    for mover in (*layout.walkers, layout.car):
        if mover.speed_m_s == 0:
            continue
        span = abs(mover.end_x_m - mover.start_x_m)
        wraps_at_s = (span - mover.offset_m % span) / mover.speed_m_s
        wrap = round(wraps_at_s * 100)
        views = [scene.pair(wrap + step).a.astype(int) for step in (-7, -5, -3, -1, 1, 3, 5)]
        changes = [int((np.abs(after - before) > 25).sum()) for before, after in itertools.pairwise(views)]
        others = changes[:3] + changes[4:]
        assert changes[3] <= 1.5 * max(others) + 15, f"{mover} pops up: {changes}"


def test_dark_is_noisier_than_light(scene: SyntheticScene) -> None:
    stack = np.stack([scene.pair(index).b for index in range(8)]).astype(float)
    camera = Camera(320, 240)
    noise = stack.std(axis=0).mean(axis=2)
    lamp_x, lamp_y = (round(v) for v in camera.project(-3.5, 4.72, 10.2))
    sky = noise[5:25, 200:240].mean()
    assert sky > 2 * noise[lamp_y - 1 : lamp_y + 1, lamp_x - 3 : lamp_x + 3].mean()


@pytest.mark.parametrize(("width", "height"), [(16, 16), (17, 33), (1024, 16), (16, 480), (101, 77)])
def test_any_size(width: int, height: int) -> None:
    pair = SyntheticScene(width_px=width, height_px=height, seed=7).pair(9)
    assert pair.a.shape == (height, width)
    assert pair.b.shape == (height, width, 3)


def test_uri_settings() -> None:
    scene = SyntheticScene.from_uri("synthetic:?width=64&height=48&seed=3&rate=12.5&frames=3")
    assert (scene.width_px, scene.height_px, scene.seed, scene.rate_hz) == (64, 48, 3, 12.5)
    assert [pair.time_ns for pair in scene] == [0, 80_000_000, 160_000_000]


def test_uri_without_settings_is_endless() -> None:
    scene = SyntheticScene.from_uri("synthetic:?width=32&height=32")
    assert scene.frame_count is None
    assert next(iter(scene)).time_ns == 0


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("rtsp://camera", "begins with 'synthetic:', not 'rtsp://camera'"),
        ("synthetic:width=3", "settings follow a '?'"),
        ("synthetic:?depth=3", "no setting 'depth'; choose from width, height, seed, rate, frames"),
        ("synthetic:?width=wide", "width must be a whole number, not 'wide'"),
        ("synthetic:?width=64.5", "width must be a whole number, not '64.5'"),
        ("synthetic:?width=", "width must be a whole number, not ''"),
        ("synthetic:?rate=fast", "rate must be a number, not 'fast'"),
        ("synthetic:?width=64&width=65", "'width' is given twice"),
        ("synthetic:?width=15", "width must be 16 to 4096 pixels, not 15"),
        ("synthetic:?height=100000", "height must be 16 to 2304 pixels, not 100000"),
        ("synthetic:?seed=-1", "seed must be 0 or more, not -1"),
        ("synthetic:?rate=0", "rate must be above 0 and at most 1000 Hz, not 0"),
        ("synthetic:?rate=nan", "rate must be above 0 and at most 1000 Hz, not nan"),
        ("synthetic:?frames=0", "frames must be 1 or more, not 0"),
    ],
)
def test_bad_uri(uri: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        SyntheticScene.from_uri(uri)


def test_negative_index(scene: SyntheticScene) -> None:
    with pytest.raises(UsageError, match="count from 0, there is none -1"):
        scene.pair(-1)
