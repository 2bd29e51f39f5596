"""A camera's lens: where its distortion moves the pixels of an ideal pinhole camera."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from refusion.alignment.geometry import Matrix, Points, finite, inverse, mapped, resized
from refusion.errors import InputError

COEFFICIENT_COUNTS = (4, 5, 8, 12, 14)
_RADII = np.linspace(0.0, 4.0, 801)
"""Of rays, in focal lengths: up to 76 degrees off the axis, where pinhole cameras end in practice."""
_NEWTON_STEPS = 6
_SOLVED_PX = 1e-3


@dataclass(frozen=True, eq=False)
class Lens:
    """OpenCV's model of a lens: radial, tangential, thin-prism and tilt coefficients."""

    camera_matrix: Matrix
    """(3, 3): focal lengths and principal point, pixels of the camera's image."""
    distortion: NDArray[np.float64]
    """Coefficients in OpenCV's order: 4, 5, 8, 12 or 14 of them."""

    def __post_init__(self) -> None:
        """Check the numbers and make them read-only.

        Raises:
            InputError: They are no lens model.
        """
        matrix = np.array(self.camera_matrix, np.float64)
        distortion = np.array(self.distortion, np.float64).ravel()
        if matrix.shape != (3, 3) or not np.isfinite(matrix).all() or min(matrix[0, 0], matrix[1, 1]) <= 0:
            raise InputError("a lens's camera_matrix must be 3x3 numbers with positive focal lengths")
        if distortion.size not in COEFFICIENT_COUNTS or not np.isfinite(distortion).all():
            raise InputError(
                f"a lens's distortion must be {', '.join(map(str, COEFFICIENT_COUNTS))} numbers "
                f"(OpenCV's order), not {distortion.size}"
            )
        for name, array in (("camera_matrix", matrix), ("distortion", distortion)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    def undistorted(self, points: Points) -> Points:
        """Return where pixels of the camera's image lie in the image of a pinhole camera, (N, 2).

        NaN where the model has no answer: past the field of view in which it is one to one.
        """
        known = finite(points)
        seen = np.where(known[:, None], points, self.camera_matrix[:2, 2])
        # OpenCV's own iteration ends after five rounds, a pixel short with wide-angle lenses.
        first = cv2.undistortPoints(seen.reshape(-1, 1, 2), self.camera_matrix, self.distortion)
        rays = np.asarray(first, np.float64).reshape(-1, 2)
        for _ in range(_NEWTON_STEPS):
            projected, jacobian = self._projected(rays)
            steps = np.linalg.solve(jacobian, (seen - projected)[..., None])
            rays = rays + np.asarray(steps[..., 0], np.float64)
        projected, _ = self._projected(rays)
        solved = known & self._is_one_to_one(rays) & (np.abs(projected - seen).max(axis=1) < _SOLVED_PX)
        return np.where(solved[:, None], mapped(self.camera_matrix, rays), np.nan)

    def distorted(self, points: Points) -> Points:
        """Return where pixels of a pinhole camera's image lie in the camera's, (N, 2).

        NaN for those past the field of view in which the model is one to one: its polynomial would fold
        them back into the picture.
        """
        rays = mapped(inverse(self.camera_matrix), points)
        visible = finite(rays) & self._is_one_to_one(rays)
        seen, _ = self._projected(np.where(visible[:, None], rays, 0.0))
        return np.where(visible[:, None], seen, np.nan)

    def for_size(self, old: tuple[int, int], new: tuple[int, int]) -> Lens:
        """Return the lens for its images resized from one size to another."""
        return Lens(resized(old, new) @ self.camera_matrix, self.distortion)

    def _projected(self, rays: Points) -> tuple[Points, NDArray[np.float64]]:
        """Return the pixels of rays (x, y, 1), and how they move with x and y: (N, 2, 2)."""
        none = np.zeros(3)
        points = np.column_stack([rays, np.ones(len(rays))]).reshape(-1, 1, 3)
        seen, jacobian = cv2.projectPoints(points, none, none, self.camera_matrix, self.distortion)
        # Columns 3 and 4 are those of the camera's translation, which moves all rays alike.
        moves = np.asarray(jacobian, np.float64)[:, 3:5]
        return np.asarray(seen, np.float64).reshape(-1, 2), moves.reshape(-1, 2, 2)

    def _is_one_to_one(self, rays: Points) -> NDArray[np.bool_]:
        return np.hypot(rays[:, 0], rays[:, 1]) <= self._largest_radius

    @cached_property
    def _largest_radius(self) -> float:
        """The radius of rays up to which larger radii lie farther out in the image."""
        k = np.zeros(8)
        k[: min(8, self.distortion.size)] = self.distortion[:8]
        r2 = _RADII**2
        growing = 1 + r2 * (k[0] + r2 * (k[1] + r2 * k[4]))
        shrinking = 1 + r2 * (k[5] + r2 * (k[6] + r2 * k[7]))
        with np.errstate(divide="ignore", invalid="ignore"):
            seen = _RADII * growing / np.where(shrinking > 0, shrinking, np.nan)
        falls = np.flatnonzero(~(np.diff(seen) > 0))
        return float(_RADII[falls[0]]) if falls.size else float(_RADII[-1])
