"""Calibration from points: exact ones, clicked ones, wrong ones."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refusion.alignment import CalibrationMethod, calibrate_from_points, load_points
from refusion.alignment.geometry import mapped
from refusion.errors import InputError

INFRARED, VISIBLE = (160, 120), (640, 480)
MATRIX = np.array([[0.3, 0.01, -20.0], [-0.01, 0.3, -12.0], [2e-5, 1e-5, 1.0]])
POINTS = np.array(
    [[120.0, 90.0], [500, 100], [520, 380], [130, 360], [300, 200], [400, 300], [200, 250], [450, 180]]
)


def test_four_points_fit_exactly() -> None:
    calibration = calibrate_from_points(mapped(MATRIX, POINTS[:4]), POINTS[:4], INFRARED, VISIBLE)
    np.testing.assert_allclose(calibration.places(POINTS), mapped(MATRIX, POINTS), atol=1e-6)
    assert calibration.method is CalibrationMethod.points
    assert calibration.residual_px == pytest.approx(0, abs=1e-3)
    assert calibration.created is not None


def test_clicks_average_and_a_wrong_one_is_left_out() -> None:
    random = np.random.default_rng(0)
    clicked = POINTS + random.normal(0, 0.7, POINTS.shape)
    clicked[4] = [600, 20]
    calibration = calibrate_from_points(mapped(MATRIX, POINTS), clicked, INFRARED, VISIBLE)
    assert calibration.residual_px is not None
    assert 0.2 < calibration.residual_px < 1.5
    off = np.hypot(*(calibration.places(POINTS) - mapped(MATRIX, POINTS)).T) / 0.3
    assert off.max() < 3


LINE = np.column_stack([np.linspace(10, 600, 6), np.linspace(10, 400, 6)])


@pytest.mark.parametrize(
    ("infrared", "visible", "message"),
    [
        (mapped(MATRIX, POINTS[:3]), POINTS[:3], "at least 4 pairs of points are needed, there are 3"),
        (mapped(MATRIX, POINTS[:5]), POINTS[:4], "every point needs its partner: 5 infrared, 4 visible ones"),
        (LINE / 4, LINE, "lie on a line or close together; pick some near all corners"),
        (POINTS[:5] / 4, POINTS[:5] / 40, "the visible points lie on a line or close together"),
        (POINTS, POINTS, "the infrared point (500, 100) lies outside of its picture of 160x120"),
        (
            np.zeros((4, 3)),
            POINTS[:4],
            "the infrared points must be pairs of numbers, (N, 2), not of shape (4, 3)",
        ),
        ("text", POINTS[:4], "the infrared points must be pairs of numbers"),
        (np.full((4, 2), np.nan), POINTS[:4], "the infrared point (nan, nan) lies outside"),
        (mapped(MATRIX, POINTS[[1, 0, 2, 3]]), POINTS[:4], "check that partners have the same order"),
        (mapped(MATRIX, POINTS[[3, 6, 1, 0, 7, 5, 2, 4]]), POINTS, "check that partners have the same order"),
        (
            POINTS[:4] / 4,
            [[0, 0], [100, 100], [200, 200], [0, 300.0]],
            "three of the four visible points",
        ),
    ],
)
def test_points_that_tell_too_little_are_refused(infrared: Any, visible: Any, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        calibrate_from_points(infrared, visible, INFRARED, VISIBLE)


def test_points_are_read_from_text(tmp_path: Path) -> None:
    path = tmp_path / "points.txt"
    path.write_text("# infrared, visible\n1, 2, 3.5, 4\n\n5 6 7 8  # a corner\n")
    infrared, visible = load_points(path)
    np.testing.assert_array_equal(infrared, [[1, 2], [5, 6]])
    np.testing.assert_array_equal(visible, [[3.5, 4], [7, 8]])
    for line in ("1, 2, 3", "1, 2, 3, four"):
        path.write_text(f"1, 2, 3, 4\n{line}\n")
        with pytest.raises(InputError, match=f"line 2: expected infrared x, y, visible x, y, not '{line}'"):
            load_points(path)
    with pytest.raises(InputError, match="there is no file of points"):
        load_points(tmp_path / "none.txt")
