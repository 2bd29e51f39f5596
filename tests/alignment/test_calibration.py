"""Calibrations: the map, manual adjustment, other resolutions, parallax."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest

from refusion.alignment import Adjustment, Calibration, Crop, Lens, coverage, with_common_view
from refusion.alignment.geometry import corners_of, similarity
from refusion.errors import InputError

INFRARED, VISIBLE = (160, 120), (640, 480)
POINTS = np.array([[320.0, 200.0], [100.5, 80.25], [600.0, 433.0]])


@pytest.fixture
def calibration() -> Calibration:
    """Infrared sees a little less, turned and shifted."""
    matrix = np.array([[0.3, 0.01, -20.0], [-0.01, 0.3, -12.0], [2e-5, 1e-5, 1.0]])
    return Calibration(INFRARED, VISIBLE, matrix)


def lens(size: tuple[int, int], *coefficients: float) -> Lens:
    focal = 0.9 * size[0]
    matrix = np.array([[focal, 0.0, size[0] / 2], [0.0, focal, size[1] / 2], [0.0, 0.0, 1.0]])
    return Lens(matrix, np.array(coefficients))


@pytest.mark.parametrize(
    ("infrared", "visible", "corner"),
    [
        ((160, 120), (640, 480), (-0.375, -0.375)),
        ((640, 480), (640, 480), (0.0, 0.0)),
        ((160, 120), (1280, 720), (-0.4375, 14.5625)),
    ],
)
def test_full_view_covers_the_visible_picture_about_its_middle(
    infrared: tuple[int, int], visible: tuple[int, int], corner: tuple[float, float]
) -> None:
    calibration = Calibration.full_view(infrared, visible)
    middle = np.array([visible]) / 2 - 0.5
    np.testing.assert_allclose(calibration.places(middle), np.array([infrared]) / 2 - 0.5)
    np.testing.assert_allclose(calibration.places(np.zeros((1, 2))), [corner], atol=1e-9)
    assert coverage(calibration) == 1.0
    assert calibration.is_identity == (infrared == visible)


def test_warp_is_the_map_in_the_crop_and_the_same_object_each_time(calibration: Calibration) -> None:
    cropped = replace(calibration, crop=Crop(100, 50, 401, 300))
    warp = cropped.warp()
    assert cropped.warp() is warp
    assert warp.size == cropped.output_size == (401, 300)
    assert warp.source_size == INFRARED
    np.testing.assert_allclose(warp.nodes[3, 5], calibration.places(np.array([[140.0, 74.0]]))[0], rtol=1e-6)
    frame = np.arange(480 * 640, dtype=np.uint32).astype(np.uint8).reshape(480, 640)
    shown = cropped.cropped(frame)
    assert np.shares_memory(shown, frame)
    np.testing.assert_array_equal(shown, frame[50:350, 100:501])
    assert calibration.cropped(frame) is frame
    with pytest.raises(InputError, match="the visible picture has 64x48, its calibration is for 640x480"):
        cropped.cropped(np.zeros((48, 64), np.uint8))


def test_lenses_are_undone_and_done_in_order(calibration: Calibration) -> None:
    bent = replace(
        calibration,
        visible_lens=lens(VISIBLE, -0.25, 0.05, 0.001, -0.001),
        infrared_lens=lens(INFRARED, -0.1, 0, 0, 0),
    )
    assert bent.visible_lens
    assert bent.infrared_lens
    straight = cv2.undistortPoints(
        POINTS.reshape(-1, 1, 2),
        bent.visible_lens.camera_matrix,
        bent.visible_lens.distortion,
        P=bent.visible_lens.camera_matrix,
    ).reshape(-1, 2)
    expected = bent.infrared_lens.distorted(calibration.places(straight))
    np.testing.assert_allclose(bent.places(POINTS), expected, atol=0.05)
    back = bent.visible_lens.distorted(bent.visible_lens.undistorted(POINTS))
    np.testing.assert_allclose(back, POINTS, atol=1e-3)


def test_a_lens_shows_nothing_where_its_polynomial_folds_back() -> None:
    barrel = lens((640, 480), -0.4, 0, 0, 0)
    far = barrel.distorted(np.array([[320.0, 240.0], [3000.0, 240.0]]))
    assert np.isfinite(far[0]).all()
    assert np.isnan(far[1]).all()
    assert np.isnan(barrel.undistorted(np.array([[2000.0, 240.0]]))).all()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Lens(np.eye(2), np.zeros(4)), "camera_matrix must be 3x3"),
        (lambda: Lens(np.eye(3), np.zeros(6)), "must be 4, 5, 8, 12, 14 numbers (OpenCV's order), not 6"),
        (lambda: Calibration((0, 1), VISIBLE, np.eye(3)), "sizes must be positive"),
        (lambda: Calibration(INFRARED, VISIBLE, np.zeros((3, 3))), "the last of them not 0"),
        (lambda: Calibration(INFRARED, VISIBLE, np.diag([0.0, 1, 1])), "must be invertible"),
        (lambda: Calibration(INFRARED, VISIBLE, np.eye(3), crop=Crop(600, 0, 80, 80)), "80x80 at (600, 0)"),
        (
            lambda: Calibration(INFRARED, VISIBLE, np.eye(3), reference_distance_m=0),
            "reference_distance_m must",
        ),
        (
            lambda: Calibration(INFRARED, VISIBLE, np.eye(3), adjustment=Adjustment(scale=0)),
            "scale must be positive",
        ),
    ],
)
def test_impossible_fields_are_refused(build: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        build()


def test_adjustments_move_infrared_as_seen_and_add_up(calibration: Calibration) -> None:
    moved = calibration.adjusted(dx_px=12, dy_px=-5)
    np.testing.assert_allclose(moved.places(POINTS + np.array([12, -5])), calibration.places(POINTS))
    steps = calibration.adjusted(scale=1.2, rotation_deg=3, dx_px=4).adjusted(
        scale=0.9, rotation_deg=-5, dy_px=7
    )
    middle = (319.5, 239.5)
    both = similarity(middle, scale=0.9, rotation_deg=-5, offset_px=(0, 7)) @ similarity(
        middle, scale=1.2, rotation_deg=3, offset_px=(4, 0)
    )
    there = np.column_stack([POINTS, np.ones(3)]) @ both.T
    np.testing.assert_allclose(steps.places(there[:, :2]), calibration.places(POINTS))
    for option in ({"scale": 0.0}, {"scale": math.nan}, {"dx_px": math.inf}):
        with pytest.raises(InputError, match="must be"):
            calibration.adjusted(**option)


def test_parallax_agrees_with_two_pinhole_cameras() -> None:
    # A point 2 m away, seen by cameras 10 cm apart with focal lengths of 500 and 125 pixels.
    def seen(x_m: float, distance_m: float) -> tuple[float, float]:
        return 500 * x_m / distance_m + 319.5, 125 * (x_m - 0.1) / distance_m + 79.625

    far = Calibration.full_view(INFRARED, VISIBLE)
    calibration = replace(far, parallax_px_m=(500 * 0.1, 0.0))
    near = calibration.adjusted(distance_m=2.0)
    for x_m in (-0.5, 0.3):
        visible, infrared = seen(x_m, 2.0)
        np.testing.assert_allclose(near.places(np.array([[visible, 100.0]]))[0, 0], infrared - 0.125)
    # A calibration that holds at 2 m needs the opposite for what is far.
    held = replace(near, homography=near.homography @ np.array([[1, 0, -25.0], [0, 1, 0], [0, 0, 1]]))
    held = replace(held, reference_distance_m=2.0)
    np.testing.assert_allclose(held.places(POINTS), near.places(POINTS))
    np.testing.assert_allclose(held.adjusted(distance_m=math.inf).places(POINTS), far.places(POINTS))
    with pytest.raises(InputError, match="a fusion distance needs the cameras' parallax"):
        far.adjusted(distance_m=2.0)


def test_other_resolutions_of_the_same_aspect_show_the_same(calibration: Calibration) -> None:
    full = replace(
        calibration,
        visible_lens=lens(VISIBLE, -0.2, 0.05, 0, 0),
        infrared_lens=lens(INFRARED, -0.1, 0, 0, 0),
        crop=Crop(100, 50, 400, 300),
        parallax_px_m=(50.0, 10.0),
        fusion_distance_m=3.0,
        adjustment=Adjustment((5.0, 2.0), 1.05, 1.5),
        residual_px=0.5,
    )
    scaled = full.for_sizes((320, 240), (1280, 960))
    assert (scaled.infrared_size, scaled.visible_size, scaled.residual_px) == ((320, 240), (1280, 960), 1.0)
    assert scaled.crop == (200, 100, 800, 600)
    np.testing.assert_allclose((scaled.places(2 * POINTS + 0.5) - 0.5) / 2, full.places(POINTS), atol=1e-6)
    assert full.for_sizes(INFRARED, VISIBLE) is full
    with pytest.raises(InputError, match="infrared pictures of 160x120, these have 640x512: another aspect"):
        full.for_sizes((640, 512), VISIBLE)
    with pytest.raises(InputError, match="visible pictures of 640x480, these have 1280x720: another aspect"):
        full.for_sizes(INFRARED, (1280, 720))


@pytest.mark.parametrize("rotation_deg", [0.0, 4.0, -30.0])
def test_common_view_is_covered_and_cannot_grow(rotation_deg: float) -> None:
    scale = similarity((80, 60), scale=0.4, rotation_deg=rotation_deg)
    matrix = scale @ np.array([[1, 0, 80 - 300.0], [0, 1, 60 - 250.0], [0, 0, 1]])
    calibration = Calibration(INFRARED, VISIBLE, matrix)
    assert coverage(calibration) < 0.5
    found = with_common_view(calibration)
    assert found.crop
    assert coverage(found) == 1.0
    # The view of an upright camera is found to the pixel, less one where sizes become even.
    x, y, width, height = found.crop
    assert width % 2 == height % 2 == 0
    if rotation_deg == 0:
        assert (x, y) == (99, 99)
        assert (width, height) == (400, 300)
    places = found.places(corners_of(VISIBLE))
    assert not ((places >= -0.5) & (places <= np.array(INFRARED) - 0.5)).all()


def test_common_view_is_everything_or_refused() -> None:
    assert with_common_view(Calibration.full_view(INFRARED, VISIBLE)).crop is None
    apart = Calibration(INFRARED, VISIBLE, np.array([[1, 0, 5000.0], [0, 1, 0], [0, 0, 1]]))
    with pytest.raises(InputError, match="covers next to nothing of the visible view"):
        with_common_view(apart)
