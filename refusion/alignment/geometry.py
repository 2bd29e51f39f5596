"""Maps of the plane as (3, 3) matrices. The middle of an image's first pixel is (0, 0)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
"""(3, 3): acts on (x, y, 1)."""
Points = NDArray[np.float64]
"""(N, 2): x and y, pixels."""


def translation(x_px: float, y_px: float) -> Matrix:
    """Return the map that moves by (x, y)."""
    return np.array([[1.0, 0.0, x_px], [0.0, 1.0, y_px], [0.0, 0.0, 1.0]])


def similarity(
    centre: tuple[float, float],
    *,
    scale: float = 1.0,
    rotation_deg: float = 0.0,
    offset_px: tuple[float, float] = (0.0, 0.0),
) -> Matrix:
    """Return the map that scales and turns about a point, then moves; positive angles turn x towards y."""
    angle = math.radians(rotation_deg)
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    turned = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    x, y = centre
    return translation(x + offset_px[0], y + offset_px[1]) @ turned @ translation(-x, -y)


def resized(old: tuple[int, int], new: tuple[int, int]) -> Matrix:
    """Return the map of pixels when an image of size (width, height) is resized to another."""
    x, y = new[0] / old[0], new[1] / old[1]
    # The corner of the first pixel, (-0.5, -0.5), stays where it is.
    return np.array([[x, 0.0, (x - 1) / 2], [0.0, y, (y - 1) / 2], [0.0, 0.0, 1.0]])


def centre_of(size: tuple[int, int]) -> tuple[float, float]:
    """Return the middle of an image of (width, height)."""
    return (size[0] - 1) / 2, (size[1] - 1) / 2


def corners_of(size: tuple[int, int]) -> Points:
    """Return the middles of an image's four corner pixels, clockwise from the first, (4, 2)."""
    x, y = size[0] - 1.0, size[1] - 1.0
    return np.array([[0.0, 0.0], [x, 0.0], [x, y], [0.0, y]])


def mapped(matrix: Matrix, points: Points) -> Points:
    """Return where a homography takes points, (N, 2); NaN for those on or behind its horizon."""
    moved = points @ matrix[:, :2].T + matrix[:, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        return moved[:, :2] / np.where(moved[:, 2:] > 0, moved[:, 2:], np.nan)


def inverse(matrix: Matrix) -> Matrix:
    """Return the opposite map."""
    return np.asarray(np.linalg.inv(matrix), np.float64)


def finite(points: Points) -> NDArray[np.bool_]:
    """Tell which points, (N, 2), are known; (N,)."""
    return np.asarray(np.isfinite(points).all(axis=1))


def normalised(matrix: Matrix) -> Matrix:
    """Return the homography with a last element of 1."""
    return matrix / matrix[2, 2]
