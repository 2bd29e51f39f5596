"""Calibration from points that lie in both pictures, picked by a person."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from refusion.alignment.calibration import Calibration, CalibrationMethod, now
from refusion.alignment.geometry import Matrix, Points, finite, inverse, mapped, normalised
from refusion.errors import InputError

MIN_POINTS = 4
INLIER_PX = 3.0
"""Of the pixels of either picture's own scale: what a careful click is off by, at most."""
_MIN_SPREAD = 0.02
"""Area of the points' hull in the picture's: less, and the map beyond it is a guess."""


def calibrate_from_points(
    points_infrared: Any,
    points_visible: Any,
    infrared_size: tuple[int, int],
    visible_size: tuple[int, int],
) -> Calibration:
    """Return the calibration in which infrared points fall on their visible partners.

    With five points or more, single wrong ones are left out; the residual counts the others.

    Args:
        points_infrared: (N, 2): x and y of points in the infrared picture, pixels; at least 4.
        points_visible: (N, 2): the same points in the visible picture.
        infrared_size: Width and height of the infrared picture.
        visible_size: Width and height of the visible picture.

    Raises:
        InputError: They are too few, not as many, outside of their pictures, all on a line, too close
            together, or no map takes one set to the other.
    """
    infrared = _checked(points_infrared, infrared_size, "infrared")
    visible = _checked(points_visible, visible_size, "visible")
    if len(infrared) != len(visible):
        raise InputError(
            f"every point needs its partner: {len(infrared)} infrared, {len(visible)} visible ones"
        )
    if len(infrared) < MIN_POINTS:
        raise InputError(f"at least {MIN_POINTS} pairs of points are needed, there are {len(infrared)}")
    for points, size, name in ((infrared, infrared_size, "infrared"), (visible, visible_size, "visible")):
        _refuse_degenerate(points, size, name)
    matrix, used = fitted_homography(
        visible, infrared, tolerance=INLIER_PX * infrared_size[0] / visible_size[0]
    )
    if used.sum() < max(MIN_POINTS, 0.5 * len(infrared)):
        raise InputError(
            f"only {int(used.sum())} of {len(infrared)} pairs of points agree on one map; "
            "check that partners have the same order"
        )
    residual = rms_px(matrix, visible[used], infrared[used])
    if not _is_sensible(matrix, visible_size):
        raise InputError("the points turn the picture inside out; check that partners have the same order")
    return Calibration(
        infrared_size,
        visible_size,
        matrix,
        method=CalibrationMethod.points,
        residual_px=residual,
        created=now(),
    )


def load_points(path: Path) -> tuple[Points, Points]:
    """Read pairs of points: a line each of infrared x, infrared y, visible x, visible y.

    Numbers are separated by commas or blanks; empty lines and those after # are passed over.

    Returns:
        Infrared and visible points, (N, 2) each.

    Raises:
        InputError: There is no such file, or a line is malformed; the message names it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"there is no file of points {path}") from None
    except (OSError, UnicodeDecodeError):
        raise InputError(f"{path} cannot be read as text") from None
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].replace(",", " ").split()
        if not words:
            continue
        try:
            row = [float(word) for word in words]
        except ValueError:
            row = []
        if len(row) != 4:
            raise InputError(
                f"{path}, line {number}: expected infrared x, y, visible x, y, not '{line.strip()[:40]}'"
            )
        rows.append(row)
    points = np.array(rows, np.float64).reshape(-1, 4)
    return points[:, :2], points[:, 2:]


def fitted_homography(
    source: Points, target: Points, *, tolerance: float
) -> tuple[Matrix, NDArray[np.bool_]]:
    """Return the homography from source to target points, and which pairs it was fitted to.

    Source:
        Hartley and Zisserman: the direct linear transform on normalised points, then least squares of the
        distances; by OpenCV, as is the search without outliers.
    """
    method = cv2.RANSAC if len(source) > MIN_POINTS else 0
    matrix, used = cv2.findHomography(source, target, method, tolerance, maxIters=5000, confidence=0.9999)
    if matrix is None or not np.isfinite(matrix).all() or matrix[2, 2] == 0:
        return np.eye(3), np.zeros(len(source), bool)
    return normalised(np.asarray(matrix, np.float64)), used.ravel().astype(bool)


def rms_px(matrix: Matrix, visible: Points, infrared: Points) -> float:
    """Return how far infrared points fall from their partners, root mean square, pixels of visible."""
    distances = np.hypot(*(mapped(inverse(matrix), infrared) - visible).T)
    return float(np.sqrt((distances**2).mean()))


def _checked(points: Any, size: tuple[int, int], name: str) -> Points:
    try:
        array = np.asarray(points, np.float64)
    except (TypeError, ValueError):
        array = np.empty(0)
    if array.ndim != 2 or array.shape[1] != 2:
        raise InputError(f"the {name} points must be pairs of numbers, (N, 2), not of shape {array.shape}")
    inside = finite(array) & (array >= -0.5).all(axis=1) & (array <= np.array(size) - 0.5).all(axis=1)
    if not inside.all():
        x, y = array[~inside][0]
        raise InputError(
            f"the {name} point ({x:g}, {y:g}) lies outside of its picture of {size[0]}x{size[1]}"
        )
    return array


def _refuse_degenerate(points: Points, size: tuple[int, int], name: str) -> None:
    hull = cv2.convexHull(points.astype(np.float32))
    if cv2.contourArea(hull) < _MIN_SPREAD * size[0] * size[1]:
        raise InputError(
            f"the {name} points lie on a line or close together; pick some near all corners of the picture"
        )
    if len(points) == MIN_POINTS and len(hull) < MIN_POINTS:
        raise InputError(f"three of the four {name} points lie on a line, or one lies between the others")


def _is_sensible(matrix: Matrix, size: tuple[int, int]) -> bool:
    """Tell a map that keeps the whole picture in front of the camera and its sides unswapped."""
    x, y = size[0] - 1.0, size[1] - 1.0
    corners = np.array([[0.0, 0.0], [x, 0.0], [x, y], [0.0, y]])
    depth = corners @ matrix[2, :2] + matrix[2, 2]
    return bool((depth > 0).all() and np.linalg.det(matrix) > 0)
