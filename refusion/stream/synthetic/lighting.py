"""Street light: how much of it falls where, and what the lamps themselves look like."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

from refusion.stream.synthetic.camera import Camera, Plane
from refusion.stream.synthetic.layout import Layout
from refusion.stream.synthetic.textures import Picture, soft_blur

_AMBIENT = (0.075, 0.055, 0.045)
"""Light of the night sky."""

Normal = Literal["up", "left", "right", "camera"]


def irradiance(layout: Layout, x_m: Plane, y_m: Plane, z_m: Plane, *, normal: Normal) -> Picture:
    """Return the light that falls on surface points, (..., 3) BGR, from lamps, shop windows and the sky."""
    total = np.empty((*x_m.shape, 3), np.float32)
    total[:] = _AMBIENT
    for light in layout.lights:
        right, up, ahead = light.x_m - x_m, light.y_m - y_m, light.z_m - z_m
        squared = right**2 + up**2 + ahead**2
        distance = np.sqrt(squared)
        towards = {"up": up, "left": -right, "right": right, "camera": -ahead}[normal] / np.maximum(
            distance, 1e-3
        )
        # Half of the light comes over neighbouring surfaces: nothing near a lamp is wholly black.
        strength = (0.25 + 0.75 * np.clip(towards, 0, 1)) / (squared + 0.8)
        if light.spread is not None:
            down = up / np.maximum(distance, 1e-3)
            strength = strength * np.clip((down - light.spread) / (1 - light.spread), 0, 1) * 1.6
        else:
            strength = strength * np.clip(right / -np.maximum(distance, 1e-3) + 0.35, 0, 1)
        total += strength[..., None].astype(np.float32) * np.array(light.power, np.float32)
    return total


def add_lamps(layout: Layout, camera: Camera, visible: Picture, infrared: Plane, depth_m: Plane) -> None:
    """Draw poles, lamp heads, their halo and the shaft of light below them."""
    for lamp in layout.lamps:
        scale = camera.scale_px(lamp.z_m)
        side = 1.0 if lamp.x_m < 0 else -1.0
        foot_x = lamp.x_m - 0.75 * side
        bent = [(foot_x, 0.0), (foot_x, 4.5), (foot_x + 0.2 * side, 4.8), (lamp.x_m, 4.85)]
        points = np.array([camera.project(x, y, lamp.z_m) for x, y in bent])
        pole = np.round(points * 16).astype(np.int32)
        thickness = max(1, round(0.10 * scale))
        cv2.polylines(visible, [pole], False, (0.020, 0.020, 0.022), thickness, cv2.LINE_AA, 4)
        cv2.polylines(infrared, [pole], False, 64.0, thickness, cv2.LINE_AA, 4)
        cv2.polylines(depth_m, [pole], False, lamp.z_m, thickness, cv2.LINE_8, 4)
        head_x, head_y = camera.project(lamp.x_m, 4.72, lamp.z_m)
        head = (round(head_x), round(head_y))
        axes = (max(1, round(0.26 * scale)), max(1, round(0.09 * scale)))
        cv2.ellipse(infrared, head, axes, 0, 0, 360, 196.0, -1, cv2.LINE_AA)
        _add_light(lamp.power, head, axes, scale, visible)


def _add_light(
    power: tuple[float, float, float],
    head: tuple[int, int],
    axes: tuple[int, int],
    scale: float,
    visible: Picture,
) -> None:
    colour = np.array(power, np.float32) / max(power)
    bulb = np.zeros(visible.shape[:2], np.float32)
    cv2.ellipse(bulb, head, axes, 0, 0, 360, 1.0, -1, cv2.LINE_AA)
    shaft = np.zeros_like(bulb)
    reach, half = 4.6 * scale, 2.1 * scale
    corners = [
        (head[0] - axes[0], head[1]),
        (head[0] + axes[0], head[1]),
        (head[0] + half, head[1] + reach),
        (head[0] - half, head[1] + reach),
    ]
    cv2.fillPoly(shaft, [np.round(np.array(corners)).astype(np.int32)], 1.0, cv2.LINE_AA)
    rows, columns = np.indices(bulb.shape, np.float32)
    distance = np.hypot(rows - head[1], columns - head[0]) / scale
    shaft = soft_blur(shaft, sigma_x=0.22 * scale, sigma_y=0.22 * scale) * np.exp(-distance / 1.6)
    halo = 0.30 * np.exp(-((distance / 0.45) ** 2)) + 0.06 / (1 + (distance / 0.55) ** 2) ** 1.5
    visible += (3.0 * bulb + 0.17 * shaft + halo)[..., None] * colour


class HeadLights:
    """The lights of the car: beam ahead, red lamp behind, rendered once and moved with it."""

    _REACH_M, _BEHIND_M, _UP_M, _DOWN_M = 11.0, 4.0, 2.6, 1.6

    def __init__(self, camera: Camera, z_m: float) -> None:
        self._camera, self._z_m = camera, z_m
        scale = camera.scale_px(z_m)
        columns = round((self._REACH_M + self._BEHIND_M) * scale) + 2
        rows = round((self._UP_M + self._DOWN_M) * scale) + 2
        y, x = np.indices((rows, columns), np.float32) / scale
        x, y = x - self._BEHIND_M, self._UP_M - y  # Metres from the foot point below the car's middle.
        ahead, above = x - 2.1, y - 0.66
        lamp = np.exp(-((ahead / 0.16) ** 2) - (above / 0.12) ** 2) * 3
        halo = 0.55 / (1 + (ahead**2 + above**2) / 0.16) ** 1.6
        width = 0.10 + 0.16 * np.maximum(ahead, 0)
        beam = 0.34 * np.exp(-(((above + 0.05 * ahead) / width) ** 2)) * np.exp(-ahead / 3.5) * (ahead > 0)
        pool = 0.30 * np.exp(-(((ahead - 2.6) / 2.2) ** 2) - ((y + 0.12) / 0.30) ** 2)
        mirrored = 0.22 * np.exp(-((ahead / 0.30) ** 2) - ((y + 0.75) / 0.55) ** 2)
        behind = x + 2.12
        tail = 1.4 * np.exp(-((behind / 0.10) ** 2) - ((y - 0.72) / 0.10) ** 2)
        tail += 0.16 / (1 + (behind**2 + (y - 0.72) ** 2) / 0.10) ** 1.5
        white = (lamp + halo + beam + pool + mirrored)[..., None] * np.array((0.80, 0.94, 1.0), np.float32)
        self._glow: Picture = (white + tail[..., None] * np.array((0.06, 0.05, 1.0), np.float32)).astype(
            np.float32
        )

    def add(self, visible: Picture, depth_m: Plane, x_m: float) -> None:
        """Add the light to the visible view, where nothing nearer than the car hides it."""
        foot_x, foot_y = self._camera.project(x_m, 0, self._z_m)
        scale = self._camera.scale_px(self._z_m)
        exact_x, exact_y = foot_x - self._BEHIND_M * scale, foot_y - self._UP_M * scale
        left, top = int(np.floor(exact_x)), int(np.floor(exact_y))
        rows, columns = self._glow.shape[:2]
        height, width = depth_m.shape
        x0, x1 = max(0, left), min(width, left + columns)
        y0, y1 = max(0, top), min(height, top + rows)
        if x0 >= x1 or y0 >= y1:
            return
        # The fraction of a pixel that rounding would lose: the light must not jump.
        shift = np.array([[1, 0, exact_x - left], [0, 1, exact_y - top]], np.float32)
        moved = cv2.warpAffine(self._glow, shift, (columns, rows))[y0 - top : y1 - top, x0 - left : x1 - left]
        area = (slice(y0, y1), slice(x0, x1))
        visible[area] += moved * (depth_m[area] > self._z_m - 6)[..., None]
