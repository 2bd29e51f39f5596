"""The part of the visible view that infrared covers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusion.alignment.calibration import Calibration, Crop
from refusion.errors import InputError

_CELLS = 64
"""Cells along the longer side in the first search; the sides found are then moved by pixels."""
_EVEN = 2
"""Sizes are multiples of it: video codecs that halve the resolution of colour need that."""


def with_common_view(calibration: Calibration) -> Calibration:
    """Return the calibration cropped to the largest rectangle of the visible picture that infrared covers.

    Raises:
        InputError: Infrared covers next to nothing of it.
    """
    width, height = calibration.visible_size
    cell = max(1, round(max(width, height) / _CELLS))
    x, y = np.arange(0, width, cell), np.arange(0, height, cell)
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2).astype(np.float64)
    covered = _covered(calibration, grid).reshape(len(y), len(x))
    best = _largest_rectangle(covered)
    if best is None:
        raise InputError(
            "infrared covers next to nothing of the visible view with this calibration: calibrate again"
        )
    left, top, right, bottom = (int(side) * cell for side in best)
    left, top, right, bottom = _grown(calibration, left, top, right, bottom)
    even_width = max(1, (right - left + 1) // _EVEN * _EVEN)
    even_height = max(1, (bottom - top + 1) // _EVEN * _EVEN)
    crop = Crop(left, top, even_width, even_height)
    is_all = (crop.width, crop.height) == calibration.visible_size
    return replace(calibration, crop=None if is_all else crop)


def coverage(calibration: Calibration) -> float:
    """Return the fraction of the output view that infrared covers, 0 to 1."""
    x, y, width, height = calibration.crop or Crop(0, 0, *calibration.visible_size)
    xs, ys = np.linspace(x, x + width - 1, _CELLS), np.linspace(y, y + height - 1, _CELLS)
    grid = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)
    return float(_covered(calibration, grid).mean())


def _covered(calibration: Calibration, pixels: NDArray[Any]) -> NDArray[np.bool_]:
    places = calibration.places(pixels)
    limits = np.array(calibration.infrared_size) - 0.5
    with np.errstate(invalid="ignore"):
        return np.asarray(((places >= -0.5) & (places <= limits)).all(axis=1))


def _largest_rectangle(covered: NDArray[np.bool_]) -> tuple[int, int, int, int] | None:
    """Return left, top, right, bottom (inclusive) of the largest rectangle that is all true.

    Source:
        Largest rectangle in a histogram, row by row, with a stack of rising bars.
    """
    best, best_area = None, 0
    heights = np.zeros(covered.shape[1], int)
    for bottom, row in enumerate(covered):
        heights = np.where(row, heights + 1, 0)
        rising: list[tuple[int, int]] = []  # (left, height) of bars that go on to the right
        for right, bar in enumerate([*heights.tolist(), 0]):
            left = right
            while rising and rising[-1][1] >= bar:
                left, height = rising.pop()
                if height * (right - left) > best_area:
                    best_area = height * (right - left)
                    best = (left, bottom - height + 1, right - 1, bottom)
            rising.append((left, bar))
    return best


def _grown(
    calibration: Calibration, left: int, top: int, right: int, bottom: int
) -> tuple[int, int, int, int]:
    """Move each side outwards, by turns and a pixel at a time, as long as infrared covers it."""
    width, height = calibration.visible_size
    sides = [left, top, right, bottom]
    limits = [width - 1, height - 1] * 2
    moving = [True] * 4
    while any(moving):
        for side, step in ((0, -1), (1, -1), (2, 1), (3, 1)):
            if not moving[side]:
                continue
            tried = sides[side] + step
            within = 0 <= tried <= limits[side]
            moving[side] = within and bool(_covered(calibration, _line(sides, side, tried)).all())
            if moving[side]:
                sides[side] = tried
    return sides[0], sides[1], sides[2], sides[3]


def _line(sides: list[int], side: int, at: int) -> NDArray[np.float64]:
    """Return the pixels of a rectangle's side, moved to x or y = at."""
    first, last = (sides[1], sides[3]) if side in (0, 2) else (sides[0], sides[2])
    along = np.linspace(first, last, max(2, min(_CELLS, last - first + 1)))
    line = np.full((along.size, 2), float(at))
    line[:, 1 if side in (0, 2) else 0] = along
    return line
