"""Smoke from a street vent: it hides what lies behind it from the visible camera alone."""

from __future__ import annotations

from math import ceil

import cv2
import numpy as np

from refusion.stream.synthetic.camera import CAMERA_HEIGHT_M, Camera, Plane
from refusion.stream.synthetic.layout import SMOKE_Z_M, Layout
from refusion.stream.synthetic.street import Scenery
from refusion.stream.synthetic.textures import Picture, fractal_noise, soft_blur

_GRID = (256, 96)
"""Columns and rows at most: smoke is soft, so it is computed on a coarse grid and enlarged."""
_TILE = 256
_TILE_PER_M = 26.0
_INFRARED_OPACITY = 0.10
_INFRARED_WARMTH = 96.0
_DRIFTS = ((0.42, 0.10, 1.0), (0.75, 0.22, 1.9))
"""Two layers of the same noise: speed to the right and upwards in metres a second, and scale."""


class Smoke:
    """A drifting cloud with fixed surroundings and a moving inside."""

    def __init__(self, layout: Layout, camera: Camera, scenery: Scenery) -> None:
        self._noise = fractal_noise(np.random.default_rng((layout.seed, 6)), _TILE, octaves=5)
        self._size = (camera.width_px, camera.height_px)
        shrink = max(camera.width_px / _GRID[0], camera.height_px / _GRID[1])
        right, down = Camera(ceil(camera.width_px / shrink), ceil(camera.height_px / shrink)).rays()
        self._x_m = right * SMOKE_Z_M
        self._y_m = CAMERA_HEIGHT_M - down * SMOKE_Z_M
        spread = ((self._x_m - 2.3) / 3.0) ** 2 + ((self._y_m - 0.75) / 1.15) ** 2
        self._density = np.exp(-(spread**1.5)).astype(np.float32)
        behind = np.clip((scenery.depth_m - SMOKE_Z_M + 2.0) / 3.0, 0, 1).astype(np.float32)
        edge = 0.01 * camera.height_px
        self._behind = soft_blur(behind, sigma_x=edge, sigma_y=edge)
        sigma = 0.07 * camera.height_px
        glow = soft_blur(scenery.visible, sigma_x=sigma, sigma_y=sigma)
        self.light: Picture = 0.8 * glow + np.array((0.034, 0.030, 0.027), np.float32)

    def opacity(self, time_s: float) -> Plane:
        """Return how much of the visible light the smoke stops at each pixel, (H, W), 0 to 1."""
        total = np.zeros_like(self._density)
        for right_m_s, up_m_s, scale in _DRIFTS:
            # The shift is wrapped in double precision: hours into a stream single precision would stutter.
            pitch = _TILE_PER_M * scale
            u = np.mod(self._x_m * pitch - (right_m_s * time_s * pitch) % _TILE, _TILE)
            v = np.mod(self._y_m * pitch - (up_m_s * time_s * pitch) % _TILE, _TILE)
            total += cv2.remap(
                self._noise,
                u.astype(np.float32),
                v.astype(np.float32),
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_WRAP,
            )
        coarse = self._density * np.clip(2.4 * total - 1.25, 0, 1.15)
        fine = cv2.resize(coarse.astype(np.float32), self._size, interpolation=cv2.INTER_CUBIC)
        return np.asarray(np.clip(fine * self._behind, 0, 0.97), np.float32)

    def cover(self, time_s: float, visible: Picture, infrared: Plane) -> None:
        """Lay the smoke over both views."""
        opacity = self.opacity(time_s)
        cv2.blendLinear(visible, self.light, 1 - opacity, opacity, visible)
        thin = _INFRARED_OPACITY * opacity
        infrared += thin * (_INFRARED_WARMTH - infrared)
