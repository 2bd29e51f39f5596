"""Small supersampled canvases on which one figure is drawn for both views at once."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from refusion.stream.synthetic.camera import Camera, Plane
from refusion.stream.synthetic.layout import Bgr
from refusion.stream.synthetic.textures import Picture

Point = tuple[float, float]

_FRACTION_BITS = 6
_CIRCLE = np.stack(
    [
        np.cos(np.linspace(0, 2 * np.pi, 16, endpoint=False)),
        np.sin(np.linspace(0, 2 * np.pi, 16, endpoint=False)),
    ],
    axis=1,
)


class Sprite:
    """A figure at one distance, drawn in metres from its foot point: x to the right, y up.

    `mirrored` turns it round to walk to the left. Colours are reflectances, warmth is an infrared gray level.
    """

    def __init__(
        self,
        camera: Camera,
        *,
        x_m: float,
        z_m: float,
        left_m: float,
        right_m: float,
        top_m: float,
        mirrored: bool = False,
    ) -> None:
        self._scale = camera.scale_px(z_m)
        # Small figures get more samples a pixel: walking then moves smoothly at any size.
        self._samples = 4 if self._scale < 80 else 2
        foot_x, foot_y = camera.project(x_m, 0, z_m)
        if mirrored:
            left_m, right_m = -right_m, -left_m
        self._sign = -1.0 if mirrored else 1.0
        # Clipped to the frame, which also bounds the work for figures that have left it.
        self.left = int(np.clip(np.floor(foot_x + left_m * self._scale) - 1, 0, camera.width_px))
        self.top = int(np.clip(np.floor(foot_y - top_m * self._scale) - 1, 0, camera.height_px))
        right = int(np.clip(np.ceil(foot_x + right_m * self._scale) + 1, 0, camera.width_px))
        bottom = int(np.clip(np.ceil(foot_y + 0.15 * self._scale) + 1, 0, camera.height_px))
        self._size = (right - self.left, bottom - self.top)
        self._origin = (foot_x - self.left, foot_y - self.top)
        self.visible_in_frame = self._size[0] > 0 and self._size[1] > 0
        shape = (max(0, self._size[1]) * self._samples, max(0, self._size[0]) * self._samples)
        self._paint = np.zeros((*shape, 4), np.float32)
        self._mask = np.zeros(shape, np.uint8)

    def capsule(
        self, start: Point, end: Point, radii: tuple[float, float], colour: Bgr, warmth: float
    ) -> None:
        """Draw the hull of two circles: a limb."""
        outline = np.concatenate([_CIRCLE * radii[0] + start, _CIRCLE * radii[1] + end])
        self._fill(np.asarray(cv2.convexHull(self._fixed_point(outline)), np.int32), colour, warmth)

    def ellipse(self, centre: Point, radii: tuple[float, float], colour: Bgr, warmth: float) -> None:
        self._fill(self._fixed_point(_CIRCLE * np.array(radii) + centre), colour, warmth)

    def polygon(self, corners: Sequence[Point], colour: Bgr, warmth: float) -> None:
        self._fill(self._fixed_point(np.array(corners, np.float64)), colour, warmth)

    def cover(
        self, visible: Picture, infrared: Plane, depth_m: Plane, z_m: float, light: NDArray[np.float32]
    ) -> None:
        """Lay the figure over both views, lit by `light` (B, G, R), where nothing nearer hides it."""
        if not self.visible_in_frame:
            return
        area = (slice(self.top, self.top + self._size[1]), slice(self.left, self.left + self._size[0]))
        alpha = cv2.resize(self._mask, self._size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        paint = cv2.resize(self._paint, self._size, interpolation=cv2.INTER_AREA)
        shown = depth_m[area] > z_m
        alpha *= shown
        paint = paint * shown[..., None]
        # The canvas starts black, so its average is already weighted by what the figure covers.
        visible[area] = visible[area] * (1 - alpha[..., None]) + paint[..., :3] * light
        infrared[area] = infrared[area] * (1 - alpha) + paint[..., 3]

    def _fixed_point(self, points: NDArray[np.float64]) -> NDArray[np.int32]:
        pixels = np.array([self._sign, -1.0]) * points * self._scale + self._origin
        # OpenCV puts pixel centres at whole numbers: half a sample moves ours there.
        samples = pixels * self._samples - 0.5
        return np.round(samples * (1 << _FRACTION_BITS)).astype(np.int32)

    def _fill(self, outline: NDArray[np.int32], colour: Bgr, warmth: float) -> None:
        if not self.visible_in_frame:
            return
        cv2.fillPoly(self._paint, [outline], (*colour, warmth), cv2.LINE_8, _FRACTION_BITS)
        cv2.fillPoly(self._mask, [outline], 255, cv2.LINE_8, _FRACTION_BITS)
