"""The camera both views share, and the picture planes of the street."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]
"""(H, W) of one quantity."""

CAMERA_HEIGHT_M = 2.6
HORIZON = 0.42
"""Height of the horizon in the frame, from the top, in frame heights."""
FOCAL = 1.1
"""Focal length in frame heights."""
_VANISHING_POINT = 0.6
"""Where the street ends, as a fraction of the width: right of the middle, so that the shops get room."""


@dataclass(frozen=True)
class Camera:
    """A pinhole camera looking along a street.

    World coordinates are metres: x to the right, y up from the ground, z along the street from the camera.
    """

    width_px: int
    height_px: int

    @property
    def centre_px(self) -> tuple[float, float]:
        return _VANISHING_POINT * self.width_px, HORIZON * self.height_px

    @property
    def focal_px(self) -> float:
        return FOCAL * self.height_px

    def scale_px(self, z_m: float) -> float:
        """Pixels a metre at a distance."""
        return self.focal_px / z_m

    def project(self, x_m: float, y_m: float, z_m: float) -> tuple[float, float]:
        """Return the pixel coordinates of a point."""
        scale = self.scale_px(z_m)
        centre_x, centre_y = self.centre_px
        return centre_x + scale * x_m, centre_y + scale * (CAMERA_HEIGHT_M - y_m)

    def right_edge_m(self, z_m: float) -> float:
        """Return the x at which a distance leaves the frame on the right."""
        return (self.width_px - self.centre_px[0]) / self.scale_px(z_m)

    def rays(self) -> tuple[Plane, Plane]:
        """Return how far the ray of each pixel goes right and down for every metre ahead."""
        centre_x, centre_y = self.centre_px
        columns = (np.arange(self.width_px, dtype=np.float32) + 0.5 - centre_x) / self.focal_px
        rows = (np.arange(self.height_px, dtype=np.float32) + 0.5 - centre_y) / self.focal_px
        right, down = np.meshgrid(columns, rows)
        return right, down
