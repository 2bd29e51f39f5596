"""What infrared and visible pictures have in common: directions of edges, whichever side is the brighter."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from refusion.alignment.geometry import Matrix, resized

Plane = NDArray[np.float32]
"""(H, W)."""
Features = NDArray[np.float32]
"""(K, H, W): how much edge of each of K directions lies about each pixel; comparable between cameras."""

DIRECTIONS = 6
_NOISE_SIGMA_PX = 0.5
_SPREAD_PX = 1.0
_LOCAL_SHARE = 1 / 12
"""Size, in longer sides of the picture, of the neighbourhood whose contrast edges are compared with."""


def luma(image: NDArray[np.uint8]) -> Plane:
    """Return the luma of a gray (H, W) or BGR (H, W, 3) picture, float32."""
    gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) if image.ndim == 3 else image
    return gray.astype(np.float32)


def edge_features(image: Plane) -> Features:
    """Return the edges of a picture by direction.

    The magnitude of the gradient along each direction loses its sign, so a warm body on cold ground equals
    a dark one on bright ground. Strong edges saturate: what is hot does not outweigh all else.

    Source:
        Channel features of orientated gradients, Ye et al., IEEE TGRS 2019.
    """
    smooth = cv2.GaussianBlur(image, (0, 0), _NOISE_SIGMA_PX)
    x, y = (cv2.Scharr(smooth, cv2.CV_32F, *order, scale=1 / 32) for order in ((1, 0), (0, 1)))
    planes = np.empty((DIRECTIONS, *image.shape), np.float32)
    for plane, angle in zip(planes, np.pi / DIRECTIONS * np.arange(DIRECTIONS), strict=True):
        along = np.abs(np.float32(np.cos(angle)) * x + np.float32(np.sin(angle)) * y)
        cv2.GaussianBlur(along, (0, 0), _SPREAD_PX, dst=plane)
    energy = np.einsum("khw,khw->hw", planes, planes)
    around = cv2.GaussianBlur(energy, (0, 0), _LOCAL_SHARE * max(image.shape))
    planes /= np.sqrt(energy + 0.5 * around + np.float32(0.1 * energy.mean() + 1e-6))
    return planes


def shrunk(image: Plane, size: tuple[int, int]) -> Plane:
    """Return the picture at another size, its detail averaged where it becomes smaller."""
    method = cv2.INTER_AREA if size[0] < image.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=method), np.float32)


class Pyramid:
    """Pictures of one camera at the resolutions that are asked for, each made once."""

    def __init__(
        self, images: Sequence[NDArray[np.uint8]], *, valid: NDArray[np.uint8] | None = None
    ) -> None:
        """Take the pictures; of one size.

        Args:
            images: Gray (H, W) or BGR (H, W, 3).
            valid: (H, W), 1 where they show something, 0 elsewhere; None: everywhere.
        """
        self._full = [luma(image) for image in images]
        self._valid = np.ones(self._full[0].shape, np.uint8) if valid is None else valid
        self.size: tuple[int, int] = self._full[0].shape[::-1]
        self._planes: dict[tuple[int, int], list[Plane]] = {self.size: self._full}
        self._features: dict[tuple[int, int], list[Features]] = {}

    def planes(self, size: tuple[int, int]) -> list[Plane]:
        """Return the pictures at a size."""
        if size not in self._planes:
            self._planes[size] = [shrunk(plane, size) for plane in self._full]
        return self._planes[size]

    def valid(self, size: tuple[int, int]) -> NDArray[np.uint8]:
        """Return where the pictures show something, at a size."""
        return np.asarray(cv2.resize(self._valid, size, interpolation=cv2.INTER_NEAREST), np.uint8)

    def features(self, size: tuple[int, int]) -> list[Features]:
        """Return the edges of the pictures at a size."""
        if size not in self._features:
            self._features[size] = [edge_features(plane) for plane in self.planes(size)]
        return self._features[size]

    def not_finer_than(self, pitch: float) -> tuple[list[Plane], Matrix]:
        """Return pictures whose pixels cover at least `pitch` of the originals', and the map to them."""
        if pitch <= 1:
            return self._full, np.eye(3)
        width, height = (max(8, round(side / pitch)) for side in self.size)
        return self.planes((width, height)), resized(self.size, (width, height))
