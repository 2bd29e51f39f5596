"""Small motions of a map from visible to infrared, and the coordinates they are stated in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from refusion.alignment.geometry import Matrix, centre_of, inverse, normalised


def _generators() -> NDArray[np.float64]:
    """Return the directions in which maps are moved, (8, 3, 3), in coordinates centred on the picture.

    Source:
        A basis of the Lie algebra of homographies, ordered by how much scenes tell of each.
    """
    basis = np.zeros((8, 3, 3))
    basis[0, 0, 2] = basis[1, 1, 2] = 1  # to the right, down
    basis[2, 0, 0] = basis[2, 1, 1] = 1  # larger
    basis[3, 0, 1], basis[3, 1, 0] = -1, 1  # clockwise
    basis[4, 0, 0], basis[4, 1, 1] = 1, -1  # aspect
    basis[5, 0, 1] = basis[5, 1, 0] = 1  # shear
    basis[6, 2, 0] = basis[7, 2, 1] = -1  # perspective
    return basis


_GENERATORS = _generators()


def normaliser(size: tuple[int, int]) -> Matrix:
    """Return the map from pixels to coordinates with the middle at (0, 0) and the corners at radius 1."""
    radius = float(np.hypot(*size)) / 2
    x, y = centre_of(size)
    return np.array([[1 / radius, 0, -x / radius], [0, 1 / radius, -y / radius], [0, 0, 1]])


def motions(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how the generators move points of centred coordinates, (N, 8, 2)."""
    homogeneous = np.column_stack([points, np.ones(len(points))])
    moved = np.einsum("kij,nj->nki", _GENERATORS, homogeneous)
    return moved[..., :2] - moved[..., 2:] * points[:, None, :]


def exponential(coordinates: NDArray[np.float64]) -> Matrix:
    """Return the map that the generators reach; coordinates are small."""
    step = np.einsum("k,kij->ij", coordinates, _GENERATORS)
    term, total = np.eye(3), np.eye(3)
    for order in range(1, 8):
        term = term @ step / order
        total = total + term
    return total


def shape_of(matrix: Matrix, size: tuple[int, int], infrared_size: tuple[int, int]) -> NDArray[np.float64]:
    """Return aspect, shear and perspective of a map, in the units of the generators; 0 for a similarity."""
    m = normalised(normaliser(infrared_size) @ matrix @ inverse(normaliser(size)))
    linear = m[:2, :2] - np.outer(m[:2, 2], m[2, :2])
    _, stretch, right = np.linalg.svd(linear)
    symmetric = right.T @ np.diag(np.log(np.maximum(stretch, 1e-9))) @ right
    return np.array([(symmetric[0, 0] - symmetric[1, 1]) / 2, symmetric[0, 1], -m[2, 0], -m[2, 1]])
