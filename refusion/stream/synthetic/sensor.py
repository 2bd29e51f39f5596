"""From light and warmth to the two cameras' 8-bit frames, with their noise."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from refusion.frames import Frame
from refusion.stream.synthetic.camera import Camera, Plane
from refusion.stream.synthetic.layout import Layout
from refusion.stream.synthetic.textures import Picture

_SHIFT_PX = 61
"""Noise is drawn once and shown at another offset in every frame; a prime keeps repeats rare."""
_DARK_NOISE, _BRIGHT_NOISE = 5.2, 1.4
_INFRARED_NOISE = 1.3
_COLUMN_NOISE, _PIXEL_NOISE = 1.0, 1.0


class Sensors:
    """Both cameras. The noise of a frame depends on the seed and the frame's number alone."""

    def __init__(self, layout: Layout, camera: Camera) -> None:
        self._seed = layout.seed
        rows, columns = camera.height_px, camera.width_px
        rng = np.random.default_rng((layout.seed, 7))
        bank = rng.standard_normal((rows + _SHIFT_PX, columns + _SHIFT_PX), np.float32)
        # Night cameras denoise: what is left is a little coarser than single pixels.
        self._bank = 0.75 * bank + 0.9 * cv2.GaussianBlur(bank, (0, 0), 0.8)
        self._pattern: Plane = (
            _COLUMN_NOISE * rng.standard_normal((1, columns))
            + _PIXEL_NOISE * rng.standard_normal((rows, columns))
        ).astype(np.float32)
        self._blur_px = 0.0014 * rows
        x = (np.arange(columns) + 0.5) / columns - 0.5
        y = (np.arange(rows) + 0.5) / rows - 0.5
        vignette = 255 * (1 - 0.42 * (x[None, :] ** 2 + y[:, None] ** 2))
        self._vignette: Picture = np.repeat(vignette.astype(np.float32)[..., None], 3, axis=2)

    def visible(self, light: Picture, index: int) -> Frame:
        """Return (H, W, 3) BGR uint8: a square-root tone curve, noise that grows in the dark."""
        levels = cv2.multiply(cv2.sqrt(light), self._vignette)
        gray = cv2.cvtColor(levels, cv2.COLOR_BGR2GRAY)
        gain = _BRIGHT_NOISE + (_DARK_NOISE - _BRIGHT_NOISE) * np.exp(gray * np.float32(-1 / 60))
        rng = np.random.default_rng((self._seed, 8, index))
        common = self._crop(rng)
        noise = cv2.merge([gain * (common + np.float32(0.45) * self._crop(rng)) for _ in range(3)])
        return _quantised(cv2.add(levels, noise))

    def infrared(self, warmth: Plane, index: int) -> Frame:
        """Return (H, W) uint8: slightly soft, with a fixed pattern."""
        soft = cv2.GaussianBlur(warmth, (0, 0), self._blur_px) if self._blur_px > 0.25 else warmth
        rng = np.random.default_rng((self._seed, 9, index))
        noisy = soft + self._pattern + _INFRARED_NOISE * self._crop(rng)
        return _quantised(noisy)

    def _crop(self, rng: np.random.Generator) -> Plane:
        top, left = rng.integers(0, _SHIFT_PX, 2)
        rows, columns = self._pattern.shape
        return self._bank[top : top + rows, left : left + columns]


def _quantised(levels: NDArray[Any]) -> Frame:
    # OpenCV rounds and limits in one pass, but takes the absolute value of what is below zero.
    return np.asarray(cv2.convertScaleAbs(np.maximum(levels, 0)), np.uint8)
