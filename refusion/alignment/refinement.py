"""Second stage of alignment from the scene: a map is moved until the edges of both pictures agree best."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from refusion.alignment.features import DIRECTIONS, Features, Pyramid, edge_features
from refusion.alignment.geometry import Matrix, corners_of, inverse, mapped, normalised, resized
from refusion.alignment.motions import exponential, motions, normaliser, shape_of
from refusion.alignment.search import MIN_OVERLAP, common_points, difference_px, overlap_score

SIMILARITY, HOMOGRAPHY = 4, 8
"""Degrees of freedom: the first four generators are a similarity's."""
_BORDER_PX = 4
"""Edges this near to infrared's border are those of its frame."""
_PRIOR = np.array([np.inf, np.inf, np.inf, np.inf, 0.02, 0.02, 0.03, 0.03])
"""Standard deviations, expected of two cameras side by side, of aspect, shear and perspective: fractions of
half the picture's diagonal at its edge. They decide where the scene tells nothing."""
_CORRELATED = 60.0
"""Edge values of about so many pixels and directions say the same: blur spreads them, directions overlap."""
_BLOCKS = 6
_MAX_MOVE = 0.1
_DAMPING_UP, _DAMPING_DOWN = 8.0, 0.3
_MIN_STEP_PX = 0.005


@dataclass(frozen=True, eq=False)
class Fit:
    """A map and how well it fits."""

    matrix: Matrix
    """From visible to infrared pixels."""
    correlation: float
    score: float
    overlap: float
    covariance: NDArray[np.float64]
    """(8, 8) of the generators' coordinates; see `expected_error_px`."""


def expected_error_px(fit: Fit, size: tuple[int, int], infrared_size: tuple[int, int]) -> float:
    """Return the standard error that noise explains: root mean square over the overlap, visible pixels."""
    points = common_points(fit.matrix, size, infrared_size)
    if not points.size:
        return math.inf
    moves = motions(mapped(normaliser(size), points))
    variance = np.einsum("nki,kl,nli->n", moves, fit.covariance, moves)
    return float(np.sqrt(variance.mean())) * float(np.hypot(*size)) / 2


class Level:
    """Refinement at one resolution."""

    def __init__(self, infrared: Pyramid, visible: Pyramid, size: tuple[int, int]) -> None:
        """Prepare the visible pictures at a size (width, height)."""
        self._infrared, self._visible = infrared, visible
        self.size = size
        self._shrink = resized(visible.size, size)
        self._features = visible.features(size)
        x, y = np.meshgrid(np.arange(size[0], dtype=np.float64), np.arange(size[1], dtype=np.float64))
        pixels = np.column_stack([x.ravel(), y.ravel()])
        moves = motions(mapped(normaliser(size), pixels)) * (np.hypot(*size) / 2)
        self._moves_x = moves[..., 0].astype(np.float32)
        self._moves_y = moves[..., 1].astype(np.float32)
        self._x, self._y = x.ravel(), y.ravel()

    def refined(self, matrix: Matrix, freedom: int, steps: int, reach_px: float = math.inf) -> Fit | None:
        """Return the best fit near a map, moved in so many degrees of freedom.

        None where it leads farther away than `reach_px` (pixels of visible): it then is another map.
        """
        state = self._state(matrix)
        damping = 1e-3
        to_centre = normaliser(self._visible.size)
        for _ in range(steps):
            move = self._step(state, freedom, damping)
            after = self._state(normalised(state.matrix @ inverse(to_centre) @ exponential(move) @ to_centre))
            if after.objective > state.objective:
                state, damping = after, damping * _DAMPING_DOWN
            else:
                damping *= _DAMPING_UP
            if np.abs(move).max() * np.hypot(*self.size) / 2 < _MIN_STEP_PX:
                break
        if difference_px(matrix, state.matrix, self._visible.size, self._infrared.size) > reach_px:
            return None
        return self._fit(state, freedom)

    def _state(self, matrix: Matrix) -> _State:
        to_level = matrix @ inverse(self._shrink)
        corner = mapped(to_level, np.array([[0.0, 0.0], [1.0, 0.0]]) + np.array(self.size) / 2)
        pitch = float(np.hypot(*(corner[1] - corner[0])))
        planes, to_planes = self._infrared.not_finer_than(pitch)
        places = to_planes @ to_level
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        shown = self._infrared.valid((planes[0].shape[1], planes[0].shape[0]))
        nearest = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
        inside = cv2.warpPerspective(shown, places, self.size, flags=nearest)
        kernel = np.ones((2 * _BORDER_PX + 1,) * 2)
        eroded = cv2.erode(inside, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=1)
        mask = np.asarray(eroded, np.float32)
        area = float(mask.sum())
        visible_part = area / mask.size
        warped = []
        product = energy_v = energy_i = 0.0
        for plane, features in zip(planes, self._features, strict=True):
            aligned = cv2.warpPerspective(
                plane, places, self.size, flags=flags, borderMode=cv2.BORDER_REPLICATE
            )
            edges = edge_features(np.asarray(aligned, np.float32))
            centred = _centred(edges, mask, area)
            target = _centred(features, mask, area)
            product += float(np.vdot(centred, target))
            energy_v += float(np.vdot(target, target))
            energy_i += float(np.vdot(centred, centred))
            warped.append((edges, centred, target))
        correlation = product / max(1e-9, np.sqrt(energy_v * energy_i))
        overlap = min(1.0, visible_part / max(1e-9, min(1.0, self._own_area(matrix))))
        prior = shape_of(matrix, self._visible.size, self._infrared.size)
        penalty = float((prior / _PRIOR[4:]) @ (prior / _PRIOR[4:])) / 2
        if overlap < MIN_OVERLAP:
            penalty = math.inf
        samples = max(1.0, area * len(planes) * DIRECTIONS / _CORRELATED)
        # The logarithm of the likelihood of a correlation of so many independent samples, and of the prior.
        objective = -0.5 * samples * float(np.log(max(1e-9, 1 - max(0.0, correlation) ** 2))) - penalty
        return _State(
            matrix,
            warped,
            mask,
            correlation,
            overlap,
            objective / samples,
            product / max(1e-9, energy_i),
            prior,
        )

    def _own_area(self, matrix: Matrix) -> float:
        """Return the area of infrared's view, in areas of the visible one."""
        corners = mapped(inverse(matrix), corners_of(self._infrared.size))
        if not np.isfinite(corners).all():
            return math.inf
        return cv2.contourArea(corners.astype(np.float32)) / (self._visible.size[0] * self._visible.size[1])

    def _step(self, state: _State, freedom: int, damping: float) -> NDArray[np.float64]:
        information, slope, _ = self._normal_equations(state)
        information, slope = information[:freedom, :freedom], slope[:freedom]
        damped = information + damping * np.diag(np.diag(information)) + 1e-9 * np.eye(freedom)
        move = np.zeros(8)
        move[:freedom] = np.linalg.solve(damped, slope)
        return move * min(1.0, _MAX_MOVE / max(1e-12, float(np.abs(move).max())))

    def _normal_equations(self, state: _State) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Return information, slope, and the part of each block in the slope: in units of the noise."""
        sums = np.zeros((5, *state.mask.shape), np.float32)
        noise, gain = 0.0, state.gain
        for edges, centred, target in state.warped:
            rest = target - np.float32(gain) * centred
            noise += float(np.vdot(rest, rest))
            for plane, difference in zip(edges, rest, strict=True):
                x = cv2.Scharr(plane, cv2.CV_32F, 1, 0, scale=gain / 32)
                y = cv2.Scharr(plane, cv2.CV_32F, 0, 1, scale=gain / 32)
                sums += (x * x, x * y, y * y, x * difference, y * difference)
        sums *= state.mask
        variance = noise / max(1.0, float(state.mask.sum()) * len(state.warped) * DIRECTIONS)
        sums /= np.float32(max(1e-12, variance) * _CORRELATED)
        xx, xy, yy, bx, by = sums.reshape(5, -1, 1)
        ux, uy = self._moves_x, self._moves_y
        information = ux.T @ (xx * ux + xy * uy) + uy.T @ (xy * ux + yy * uy)
        slopes = bx * ux + by * uy
        block = self._blocks(state.mask)
        blocks = np.stack([np.bincount(block, column, _BLOCKS**2) for column in slopes.T], axis=1)
        slope = blocks.sum(axis=0)
        weight = 1 / _PRIOR**2
        information = information.astype(np.float64) + np.diag(weight)
        slope[4:] -= weight[4:] * state.shape
        return information, slope, blocks

    def _blocks(self, mask: NDArray[np.float32]) -> NDArray[np.intp]:
        """Return to which part of the overlap each pixel belongs, (H * W,)."""
        left, top, width, height = cv2.boundingRect(mask.astype(np.uint8))
        rows = np.clip((self._y - top) * _BLOCKS // max(1, height), 0, _BLOCKS - 1)
        columns = np.clip((self._x - left) * _BLOCKS // max(1, width), 0, _BLOCKS - 1)
        return (rows * _BLOCKS + columns).astype(np.intp)

    def _fit(self, state: _State, freedom: int) -> Fit:
        information, _, blocks = self._normal_equations(state)
        bread = np.zeros((8, 8))
        bread[:freedom, :freedom] = np.linalg.inv(information[:freedom, :freedom] + 1e-9 * np.eye(freedom))
        correction = _BLOCKS**2 / (_BLOCKS**2 - freedom)
        covariance = bread @ (blocks.T @ blocks * correction + np.diag(1 / _PRIOR**2)) @ bread
        return Fit(
            state.matrix,
            state.correlation,
            float(overlap_score(state.correlation, state.overlap)),
            state.overlap,
            covariance,
        )


@dataclass(frozen=True, eq=False)
class _State:
    matrix: Matrix
    warped: list[tuple[Any, Any, Any]]
    """Of each pair: infrared's edges in the visible view, and both views' edges centred and masked."""
    mask: NDArray[np.float32]
    correlation: float
    overlap: float
    objective: float
    gain: float
    shape: NDArray[np.float64]


def _centred(features: Features, mask: NDArray[np.float32], area: float) -> Features:
    means = np.einsum("khw,hw->k", features, mask) / np.float32(max(1.0, area))
    return (features - means[:, None, None]) * mask
