"""Check of a map from the scene: do the parts of the picture, each by itself, fit best where the map says?

A wrong map is a chance maximum of the whole; its parts fit better elsewhere, each in another place.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from refusion.alignment.features import Features, Pyramid, edge_features
from refusion.alignment.geometry import Matrix, inverse, resized

_OVERLAP_SIDE_PX = 220
"""Longer side of the overlap at the resolution of the check."""
_PART_PX, _REACH_PX = 28, 10
_HIT_PX = 2.0
_MIN_INSIDE = 0.75


@dataclass(frozen=True)
class Agreement:
    """How many parts agree with a map."""

    parts: int
    """Parts of the overlap that were looked at."""
    agreeing: int
    """Parts that fit best within 1 % of the overlap's side of where the map says. By chance each does so with
    a probability of 0.03: 13 of the 441 places that are tried."""

    @property
    def share(self) -> float:
        """Agreeing parts, of all; 0 if there are none."""
        return self.agreeing / max(1, self.parts)


def agreement(infrared: Pyramid, visible: Pyramid, matrix: Matrix) -> Agreement:
    """Return how the parts of the overlap judge a map from visible to infrared pixels."""
    size = _size(infrared, visible, matrix)
    places = matrix @ inverse(resized(visible.size, size))
    planes, to_planes = infrared.not_finer_than(float(np.sqrt(abs(np.linalg.det(places[:2, :2])))))
    places = to_planes @ places
    mask = _mask(infrared.valid((planes[0].shape[1], planes[0].shape[0])), places, size)
    left, top, width, height = cv2.boundingRect(mask)
    corners = [
        (y, x)
        for y in range(top, top + height - _PART_PX + 1, _PART_PX)
        for x in range(left, left + width - _PART_PX + 1, _PART_PX)
        if mask[y : y + _PART_PX, x : x + _PART_PX].mean() >= _MIN_INSIDE
    ]
    if not corners:
        return Agreement(0, 0)
    surfaces = np.zeros((len(corners), 2 * _REACH_PX + 1, 2 * _REACH_PX + 1))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    for plane, target in zip(planes, visible.features(size), strict=True):
        aligned = cv2.warpPerspective(plane, places, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        edges = edge_features(np.asarray(aligned, np.float32)) * mask
        for surface, corner in zip(surfaces, corners, strict=True):
            surface += _correlated(edges, target, corner)
    y, x = np.unravel_index(surfaces.reshape(len(corners), -1).argmax(axis=1), surfaces.shape[1:])
    return Agreement(len(corners), int((np.hypot(y - _REACH_PX, x - _REACH_PX) <= _HIT_PX).sum()))


def _size(infrared: Pyramid, visible: Pyramid, matrix: Matrix) -> tuple[int, int]:
    """Return the size of the visible picture at which the overlap has its resolution."""
    _, _, width, height = cv2.boundingRect(_mask(infrared.valid(infrared.size), matrix, visible.size))
    shrink = min(1.0, _OVERLAP_SIDE_PX / max(1, width, height))
    return max(8, round(visible.size[0] * shrink)), max(8, round(visible.size[1] * shrink))


def _mask(valid: NDArray[np.uint8], places: Matrix, size: tuple[int, int]) -> NDArray[np.uint8]:
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpPerspective(valid, places, size, flags=flags), np.uint8)


def _correlated(edges: Features, target: Features, corner: tuple[int, int]) -> NDArray[np.float32]:
    """Return the correlation of a part of infrared's edges with visible's around it; 0 past the picture."""
    y, x = corner
    part = edges[:, y : y + _PART_PX, x : x + _PART_PX]
    part = part - part.mean(axis=(1, 2), keepdims=True)
    height, width = target.shape[1:]
    top, left = max(0, y - _REACH_PX), max(0, x - _REACH_PX)
    bottom, right = min(height, y + _PART_PX + _REACH_PX), min(width, x + _PART_PX + _REACH_PX)
    around = target[:, top:bottom, left:right]
    product = sum(cv2.matchTemplate(a, b, cv2.TM_CCORR) for a, b in zip(around, part, strict=True))
    energy = sum(cv2.boxFilter(a * a, cv2.CV_32F, (_PART_PX,) * 2, normalize=False) for a in around)
    half = _PART_PX // 2
    rows, columns = np.asarray(product).shape
    scale = np.sqrt(np.maximum(np.asarray(energy)[half : half + rows, half : half + columns], 1e-6))
    surface = np.zeros((2 * _REACH_PX + 1,) * 2, np.float32)
    first_y, first_x = top - y + _REACH_PX, left - x + _REACH_PX
    surface[first_y : first_y + rows, first_x : first_x + columns] = product / scale
    return surface
