"""First stage of alignment from the scene: every scale, rotation and place is tried, at low resolution."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from refusion.alignment.features import Features, Pyramid, edge_features
from refusion.alignment.geometry import (
    Matrix,
    Points,
    centre_of,
    inverse,
    mapped,
    normalised,
    resized,
    similarity,
    translation,
)

FIELD_RATIOS = np.geomspace(0.42, 2.4, 32)
"""Infrared's field of view in those of the visible camera; steps of 6 %."""
ROTATIONS_DEG = np.arange(-6.0, 6.1, 1.5)
LONGER_SIDE_PX = 192
"""Of the visible picture in the search; less where infrared sees more."""
MIN_OVERLAP = 0.5
"""Of the smaller view."""
_PEAKS = 2
_PEAK_RADIUS_PX = 6
_DISTINCT = 0.05
"""Of the visible width: how far maps must differ to be two candidates."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A map that may be right."""

    matrix: Matrix
    """From visible to infrared pixels."""
    score: float
    """Correlation of edges, at most 1, reduced where little overlaps."""


def common_points(matrix: Matrix, size: tuple[int, int], infrared_size: tuple[int, int]) -> Points:
    """Return places of the visible picture that infrared sees, spread evenly, (N, 2)."""
    x, y = np.meshgrid(*(np.linspace(0, side - 1, 16) for side in size))
    points = np.column_stack([x.ravel(), y.ravel()])
    places = mapped(matrix, points)
    with np.errstate(invalid="ignore"):
        inside = ((places >= 0) & (places <= np.array(infrared_size) - 1)).all(axis=1)
    return points[inside]


def difference_px(a: Matrix, b: Matrix, size: tuple[int, int], infrared_size: tuple[int, int]) -> float:
    """Return how far two maps are apart: mean over what infrared sees in map a, pixels of visible."""
    points = common_points(a, size, infrared_size)
    distance = np.hypot(*(mapped(inverse(a), mapped(b, points)) - points).T)
    return float(distance.mean()) if points.size and np.isfinite(distance).all() else math.inf


def overlap_score(correlation: Any, overlap: Any) -> Any:
    """Return the correlation, reduced where the overlap (fraction of the smaller view) is small.

    Few pixels agree by chance more often: the fourth root keeps true maps ahead of such.
    """
    return correlation * np.maximum(overlap, 0.0) ** 0.25


def candidates(infrared: Pyramid, visible: Pyramid, count: int) -> list[Candidate]:
    """Return the most likely distinct maps, best first."""
    found: list[Candidate] = []
    for ratio in FIELD_RATIOS:
        found += _Scale(infrared, visible, float(ratio)).candidates()
    distinct: list[Candidate] = []
    for candidate in sorted(found, key=lambda c: -c.score):
        apart = (
            difference_px(kept.matrix, candidate.matrix, visible.size, infrared.size) for kept in distinct
        )
        if all(distance > _DISTINCT * visible.size[0] for distance in apart):
            distinct.append(candidate)
        if len(distinct) == count:
            break
    return distinct


class _Scale:
    """The search at one ratio of the fields of view."""

    def __init__(self, infrared: Pyramid, visible: Pyramid, ratio: float) -> None:
        self._infrared, self._visible = infrared, visible
        side = LONGER_SIDE_PX * min(1.0, 1.15 / ratio)
        shrink = side / max(visible.size)
        width, height = (max(8, round(s * shrink)) for s in visible.size)
        self._size = width, height
        full_view = min(v / i for v, i in zip(visible.size, infrared.size, strict=True))
        self._scale = full_view * ratio * shrink  # pixels of the search in one of infrared
        angle = math.radians(float(np.abs(ROTATIONS_DEG).max()))
        w, h = (s * self._scale for s in infrared.size)
        cos, sin = math.cos(angle), math.sin(angle)
        self._frame = math.ceil(w * cos + h * sin) + 1, math.ceil(h * cos + w * sin) + 1
        self._padded = (
            cv2.getOptimalDFTSize(height + self._frame[1]),
            cv2.getOptimalDFTSize(width + self._frame[0]),
        )
        features = [
            np.asarray(f - f.mean(axis=(1, 2), keepdims=True), np.float32)
            for f in visible.features(self._size)
        ]
        self._features = [self._transformed(f) for f in features]
        self._energy = sum(self._transformed(_energy(f)) for f in features)
        self._ones = self._transformed(np.ones((height, width), np.float32))

    def _transformed(self, planes: NDArray[np.float32]) -> NDArray[Any]:
        return np.fft.rfft2(planes, self._padded)

    def candidates(self) -> list[Candidate]:
        found = []
        for rotation in ROTATIONS_DEG:
            to_frame, scores = self._correlated(float(rotation))
            for _ in range(_PEAKS):
                y, x = (int(v) for v in np.unravel_index(np.argmax(scores), scores.shape))
                score = float(scores[y, x])
                if score <= 0:
                    break
                found.append(Candidate(self._matrix(to_frame, x, y), score))
                reach = np.arange(-_PEAK_RADIUS_PX, _PEAK_RADIUS_PX + 1)
                scores[np.ix_((y + reach) % scores.shape[0], (x + reach) % scores.shape[1])] = -1
        return found

    def _correlated(self, rotation_deg: float) -> tuple[Matrix, NDArray[Any]]:
        """Return the map from infrared to its turned frame, and the score of each place of that frame."""
        planes, to_planes = self._infrared.not_finer_than(1 / self._scale)
        turn = similarity(centre_of(self._frame), scale=self._scale, rotation_deg=rotation_deg)
        middle_x, middle_y = centre_of(self._infrared.size)
        frame_x, frame_y = centre_of(self._frame)
        to_frame = turn @ translation(frame_x - middle_x, frame_y - middle_y)
        matrix = to_frame @ inverse(to_planes)
        ones = np.ones(planes[0].shape, np.float32)
        inside = cv2.warpPerspective(ones, matrix, self._frame, flags=cv2.INTER_NEAREST)
        mask = np.asarray(cv2.erode(inside, np.ones((5, 5)), borderValue=0), np.float32)
        mask_transformed = np.conj(self._transformed(mask))
        product: Any = 0
        own_energy: Any = 0
        for plane, features in zip(planes, self._features, strict=True):
            turned = cv2.warpPerspective(plane, matrix, self._frame, borderMode=cv2.BORDER_REPLICATE)
            edges = edge_features(np.asarray(turned, np.float32))
            edges = (edges - (edges * mask).sum(axis=(1, 2), keepdims=True) / mask.sum()) * mask
            product = product + (features * np.conj(self._transformed(edges))).sum(axis=0)
            own_energy = own_energy + np.conj(self._transformed(_energy(edges)))
        product, energy, own_energy, area = (
            np.fft.irfft2(spectrum, self._padded)
            for spectrum in (
                product,
                self._energy * mask_transformed,
                self._ones * own_energy,
                self._ones * mask_transformed,
            )
        )
        overlap = area / min(float(mask.sum()), self._size[0] * self._size[1])
        correlation = product / np.sqrt(np.maximum(energy * own_energy, 1e-3))
        return to_frame, np.where(overlap > MIN_OVERLAP, overlap_score(correlation, overlap), -1.0)

    def _matrix(self, to_frame: Matrix, x: int, y: int) -> Matrix:
        rows, columns = self._padded
        # Correlation by Fourier transforms is circular: places left of the picture come out at the right.
        left = x if x < self._size[0] else x - columns
        top = y if y < self._size[1] else y - rows
        shrink = resized(self._visible.size, self._size)
        return normalised(inverse(to_frame) @ translation(-left, -top) @ shrink)


def _energy(features: Features) -> NDArray[np.float32]:
    return np.asarray(np.einsum("khw,khw->hw", features, features), np.float32)
