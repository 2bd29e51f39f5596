"""What does not move: sky, houses, street and trees, rendered once for both views."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from refusion.stream.synthetic.camera import CAMERA_HEIGHT_M, FOCAL, HORIZON, Camera, Plane
from refusion.stream.synthetic.layout import (
    BACKDROP_Z_M,
    CROSS_STREET_M,
    FACADE_HEIGHT_M,
    FACADE_X_M,
    FAR_BLOCK_M,
    NEAR_BLOCK_M,
    PARK_X_M,
    ROAD_HALF_WIDTH_M,
    SMOKE_Z_M,
    ZEBRA_M,
    Layout,
)
from refusion.stream.synthetic.lighting import add_lamps, irradiance
from refusion.stream.synthetic.textures import Facade, Picture, facade, fractal_noise, soft_blur

_SUPERSAMPLED_BELOW_PX = 800
"""Frames up to this height are rendered at twice their size and averaged; larger ones need it less."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Scenery:
    """The still part of both views."""

    visible: Picture
    infrared: Plane
    """Gray levels, 0 to 255."""
    depth_m: Plane
    """Distance of what stands in each pixel; figures farther away are hidden."""


def render_scenery(layout: Layout, camera: Camera) -> Scenery:
    """Render the scene without figures, smoke and sensor noise."""
    factor = 2 if camera.height_px <= _SUPERSAMPLED_BELOW_PX else 1
    fine = Camera(camera.width_px * factor, camera.height_px * factor)
    painter = _Painter(layout, fine)
    painter.sky()
    painter.skyline()
    painter.ground()
    painter.houses()
    painter.park()
    add_lamps(layout, fine, painter.visible, painter.infrared, painter.depth_m)
    size = (camera.width_px, camera.height_px)

    def reduced(plane: NDArray[np.float32], interpolation: int) -> NDArray[np.float32]:
        return np.asarray(cv2.resize(plane, size, interpolation=interpolation), np.float32)

    return Scenery(
        visible=reduced(painter.visible, cv2.INTER_AREA),
        infrared=reduced(painter.infrared, cv2.INTER_AREA),
        depth_m=reduced(painter.depth_m, cv2.INTER_NEAREST),
    )


@dataclass(frozen=True)
class _Region:
    """A part of the picture: what is painted on it appears in the whole."""

    right: Plane
    down: Plane
    visible: Picture
    infrared: Plane
    depth_m: Plane

    def part(self, rows: slice, columns: slice) -> _Region:
        area = (rows, columns)
        return _Region(
            self.right[area], self.down[area], self.visible[area], self.infrared[area], self.depth_m[area]
        )

    def cover(self, where: Mask, visible: Picture, warmth: Plane, depth_m: Plane) -> None:
        """Paint the pixels of a mask, given their light (N, 3), warmth (N,) and distance (N,)."""
        self.visible[where] = visible
        self.infrared[where] = warmth
        self.depth_m[where] = depth_m


class _Painter:
    """Paints from far to near."""

    def __init__(self, layout: Layout, camera: Camera) -> None:
        self.layout, self.camera = layout, camera
        self.right, self.down = camera.rays()
        shape = self.right.shape
        self.visible: Picture = np.zeros((*shape, 3), np.float32)
        self.infrared: Plane = np.zeros(shape, np.float32)
        self.depth_m: Plane = np.full(shape, 1e6, np.float32)
        self._whole = _Region(self.right, self.down, self.visible, self.infrared, self.depth_m)
        self._noise = fractal_noise(np.random.default_rng((layout.seed, 2)), 512, octaves=7)
        self._facades = self._painted_facades()

    def _sample(self, x: NDArray[np.floating], y: NDArray[np.floating]) -> Plane:
        """Look the repeating noise up at coordinates in its tiles."""
        found = cv2.remap(
            self._noise,
            np.asarray((x - np.floor(x)) * 512, np.float32),
            np.asarray((y - np.floor(y)) * 512, np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_WRAP,
        )
        return np.asarray(found, np.float32)

    def sky(self) -> None:
        height = np.clip(-self.down / (HORIZON / FOCAL), 0, 1)
        city = np.exp(-3.2 * height)
        clouds = self._sample(self.right * 0.35, self.down * 1.1)
        for channel, (zenith, glow) in enumerate(((0.022, 0.055), (0.011, 0.040), (0.006, 0.045))):
            self.visible[..., channel] = zenith + glow * city * (0.55 + 0.9 * clouds)
        self.infrared[:] = 16 + 30 * city + 7 * clouds
        rng = np.random.default_rng((self.layout.seed, 3))
        rows, columns = self.infrared.shape
        for x, y, magnitude in rng.uniform(0, 1, (170, 3)):
            spot = (int(x * columns), int(y * HORIZON * 0.95 * rows))
            star = 0.05 + 0.5 * float(magnitude) ** 6
            radius = max(1, round(rows / 960))
            cv2.circle(self.visible, spot, radius, (star, star * 0.92, star * 0.85), -1)

    def skyline(self) -> None:
        """Draw towers behind the end of the street."""
        rng = np.random.default_rng((self.layout.seed, 4))
        for z, warmth, haze in ((BACKDROP_Z_M * 1.6, 48, 0.02), (BACKDROP_Z_M, 58, 0.010)):
            x = -75.0
            while x < 95:
                wide, tall = rng.uniform(5, 13), rng.uniform(6, 24) * z / BACKDROP_Z_M
                self._tower(rng, x, wide, tall, z, warmth, haze)
                x += wide + rng.uniform(-0.5, 3)

    def _tower(
        self,
        rng: np.random.Generator,
        x: float,
        wide: float,
        tall: float,
        z: float,
        warmth: float,
        haze: float,
    ) -> None:
        self._rectangle(x, x + wide, 0, tall, z, (haze * 1.5, haze * 1.1, haze), warmth)
        for window_x in np.arange(x + 0.6, x + wide - 1.0, 1.5):
            for window_y in np.arange(3.2, tall - 1.2, 2.2):
                if rng.uniform() < 0.22:
                    light = rng.uniform(0.08, 0.4)
                    tint = (0.45, 0.75, 1.0) if rng.uniform() < 0.8 else (1.0, 0.9, 0.8)
                    colour = (light * tint[0], light * tint[1], light * tint[2])
                    self._rectangle(
                        window_x, window_x + 0.8, window_y, window_y + 1.2, z, colour, warmth + 14
                    )

    def _rectangle(
        self,
        left: float,
        right: float,
        bottom: float,
        top: float,
        z: float,
        colour: tuple[float, float, float],
        warmth: float,
    ) -> None:
        """Fill an upright rectangle that faces the camera, given in metres."""
        x0, y0 = self.camera.project(left, top, z)
        x1, y1 = self.camera.project(right, bottom, z)
        rows, columns = self.infrared.shape
        area = (
            slice(max(0, round(y0)), min(rows, max(0, round(y1)))),
            slice(max(0, round(x0)), min(columns, max(0, round(x1)))),
        )
        self.visible[area] = colour
        self.infrared[area] = warmth
        self.depth_m[area] = z

    def ground(self) -> None:
        rows = slice(int(np.searchsorted(self.down[:, 0], 1e-3)), None)
        region = self._whole.part(rows, slice(None))
        visible, infrared, depth_m = region.visible, region.infrared, region.depth_m
        z = np.minimum(CAMERA_HEIGHT_M / region.down, 400)
        x = region.right * z
        crossing = (z > CROSS_STREET_M[0]) & (z < CROSS_STREET_M[1])
        road = (np.abs(x) < ROAD_HALF_WIDTH_M) | crossing
        park = (x > PARK_X_M) & ~crossing
        kerb = (np.abs(np.abs(x) - ROAD_HALF_WIDTH_M - 0.09) < 0.09) & ~crossing
        # Fine detail fades with distance, where a pixel covers more than it.
        grain = (self._sample(x / 1.7, z / 1.7) - 0.5) * np.minimum(14 / z, 1)
        patches = self._sample(x / 23, z / 23)
        slabs = ((_sawtooth(x, 0.8) < 0.05) | (_sawtooth(z, 0.8) < 0.07)) & (z < 25)
        gray = np.where(
            road, 0.055 + 0.10 * grain + 0.04 * patches, np.where(slabs, 0.09, 0.19) + 0.12 * grain
        )
        gray = np.where(self._markings(x, z) & road, 0.5 + 0.35 * grain, np.where(kerb, 0.30, gray))
        leaves = 0.05 + 0.16 * grain + 0.03 * patches
        light = irradiance(self.layout, x, np.zeros_like(x), z, normal="up")
        wet = np.where(park, 0.04, 0.04 + 0.30 * np.clip(2.4 * (self._sample(x / 9, z / 14) - 0.35), 0, 1))
        haze = 1 - np.exp(-z / 90)
        mirrored = self._reflections()[rows]
        for channel, (leaf, far) in enumerate(zip((0.45, 1.0, 0.7), (0.026, 0.018, 0.015), strict=True)):
            albedo = np.maximum(np.where(park, leaf * leaves, gray), 0.005)
            lit = albedo * light[..., channel] + mirrored[..., channel] * wet
            visible[..., channel] = lit * (1 - haze) + far * haze
        tracks = 7 * np.exp(-(((np.abs(x) - 1.45) / 0.45) ** 2))
        infrared[:] = np.where(road, 84 + tracks, np.where(park, 58, 74)) + 10 * (patches - 0.5) + 5 * grain
        infrared[kerb] = 68
        vent = ((x - 1.0) / 0.36) ** 2 + ((z - SMOKE_Z_M) / 0.36) ** 2 < 1
        infrared[vent] = 128
        visible[vent] *= 0.5
        depth_m[:] = np.where(z < BACKDROP_Z_M, z + 0.35, depth_m)

    @staticmethod
    def _markings(x: Plane, z: Plane) -> Mask:
        zebra = (z > ZEBRA_M[0]) & (z < ZEBRA_M[1]) & (_sawtooth(x + 0.25, 1.0) < 0.5) & (np.abs(x) < 2.9)
        dashes = (np.abs(x) < 0.07) & (_sawtooth(z, 3.0) < 1.6) & ~((z > 10.4) & (z < 14.4)) & (z < 19)
        return np.asarray(zebra | dashes)

    def _reflections(self) -> Picture:
        """Return what a wet street mirrors: the light of the houses and lamps, drawn out downwards."""
        mirrored = np.zeros_like(self.visible)
        below = replace(self._whole, visible=mirrored)
        for painted in self._facades:
            self._hang(painted, below, mirror=True)
        rows = self.infrared.shape[0]
        for lamp in self.layout.lamps:
            x, y = self.camera.project(lamp.x_m, -lamp.y_m, lamp.z_m)
            size = self.camera.scale_px(lamp.z_m)
            light = np.zeros_like(self.infrared)
            axes = (max(1, round(0.16 * size)), max(1, round(0.9 * size)))
            cv2.ellipse(light, (round(x), round(y)), axes, 0, 0, 360, 1.0, -1, cv2.LINE_AA)
            mirrored += light[..., None] * np.array(lamp.power, np.float32) * 0.5
        return soft_blur(mirrored, sigma_x=0.004 * rows, sigma_y=0.035 * rows)

    def _painted_facades(self) -> list[Facade]:
        rng = np.random.default_rng((self.layout.seed, 5))
        near_px_per_m = float(np.clip(self.camera.scale_px(10.0), 4, 110))
        far_px_per_m = float(np.clip(self.camera.scale_px(40.0), 2, 40))
        return [
            facade(rng, start_m=FAR_BLOCK_M[0], end_m=FAR_BLOCK_M[1], px_per_m=far_px_per_m, shops=()),
            facade(
                rng,
                start_m=NEAR_BLOCK_M[0],
                end_m=NEAR_BLOCK_M[1],
                px_per_m=near_px_per_m,
                shops=self.layout.shops,
            ),
        ]

    def houses(self) -> None:
        for painted, end_m, colour in zip(
            self._facades,
            (FAR_BLOCK_M[0], NEAR_BLOCK_M[1]),
            ((0.010, 0.010, 0.012), (0.006, 0.006, 0.007)),
            strict=True,
        ):
            # The gable closes each block towards the side street.
            self._rectangle(-60, FACADE_X_M, 0, FACADE_HEIGHT_M, end_m, colour, 71)
            self._hang(painted, self._whole)

    def _hang(self, painted: Facade, whole: _Region, *, mirror: bool = False) -> None:
        """Project a house front onto the left of the street, or the mirror image of its light below it."""
        left = whole.part(slice(None), slice(0, int(np.searchsorted(whole.right[0], -1e-3))))
        z = FACADE_X_M / left.right
        y = CAMERA_HEIGHT_M - left.down * z
        if mirror:
            y = -y
        end_m = painted.start_m + painted.warmth.shape[1] / painted.px_per_m
        inside = (z > painted.start_m) & (z < end_m) & (y > 0) & (y < FACADE_HEIGHT_M)
        if not inside.any():
            return
        u = np.asarray((z - painted.start_m) * painted.px_per_m - 0.5, np.float32)
        v = np.asarray((FACADE_HEIGHT_M - y) * painted.px_per_m - 0.5, np.float32)

        def projected(plane: NDArray[np.float32]) -> NDArray[np.float32]:
            flat = cv2.remap(plane, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            return np.asarray(flat[inside], np.float32)

        glow = projected(painted.glow)
        if mirror:
            left.visible[inside] = glow
            return
        light = irradiance(
            self.layout, np.full_like(z[inside], FACADE_X_M), y[inside], z[inside], normal="right"
        )
        stains = 10 * (self._sample(z / 9, y / 9)[inside] - 0.5)
        left.cover(
            inside, projected(painted.albedo) * light + glow, projected(painted.warmth) + stains, z[inside]
        )

    def park(self) -> None:
        start = int(np.searchsorted(self.right[0], PARK_X_M / NEAR_BLOCK_M[1]))
        region = self._whole.part(slice(None), slice(start, None))
        if region.right.size == 0:
            return
        z = np.asarray(PARK_X_M / region.right, np.float32)
        y = CAMERA_HEIGHT_M - region.down * z
        leaves = self._sample(z / 1.3, y / 1.3)
        hedge = (z > 7) & (z < NEAR_BLOCK_M[1]) & (y > 0) & (y < 0.9 + 0.5 * leaves)
        self._foliage(region, hedge, leaves, np.full_like(z, PARK_X_M), y, z, warmth=60)
        for x, at_m, tall, wide in ((7.2, 18.0, 6.5, 2.8), (6.1, 12.5, 5.6, 2.3), (5.9, 8.4, 5.6, 2.4)):
            self._tree(x, at_m, tall, wide)

    def _tree(self, x_m: float, z_m: float, tall_m: float, wide_m: float) -> None:
        reach_m = 1.3 * wide_m  # The crown's outline ends before this, see below.
        columns = np.searchsorted(self.right[0], [(x_m - reach_m) / z_m, (x_m + reach_m) / z_m])
        region = self._whole.part(slice(None), slice(int(columns[0]), int(columns[1])))
        if region.right.size == 0:
            return
        x = region.right * z_m
        y = CAMERA_HEIGHT_M - region.down * z_m
        z = np.full_like(x, z_m)
        trunk = (np.abs(x - x_m - 0.05 * np.sin(2 * y)) < 0.17 + 0.02 * y) & (y > 0) & (y < tall_m - 1)
        bark = self._sample(x / 0.7, y / 5)[trunk]
        light = irradiance(self.layout, x[trunk], y[trunk], z[trunk], normal="left")
        brown = (0.03 + 0.09 * bark)[:, None] * np.array([0.6, 0.75, 1.0], np.float32)
        region.cover(trunk, brown * light, 70 + 8 * bark, z[trunk])
        coarse = self._sample(x / 5 + z_m, y / 5)
        leaves = self._sample(x / 1.6 + z_m, y / 1.6)
        outline = ((x - x_m) / wide_m) ** 2 + ((y - tall_m) / (0.78 * wide_m)) ** 2
        crown = outline < 0.45 + 0.75 * coarse + 0.5 * (leaves - 0.5)
        self._foliage(region, crown, leaves, x, y, z, warmth=52)

    def _foliage(
        self, region: _Region, where: Mask, leaves: Plane, x: Plane, y: Plane, z: Plane, *, warmth: float
    ) -> None:
        light = irradiance(self.layout, x[where], y[where], z[where], normal="left")
        bright = np.clip(leaves[where] - 0.25, 0.02, 1) ** 1.5
        green = bright[:, None] * np.array([0.14, 0.42, 0.24], np.float32)
        region.cover(where, green * light, warmth + 16 * (leaves[where] - 0.5), z[where])


def _sawtooth(x: NDArray[np.floating], period: float) -> NDArray[np.floating]:
    """Return x modulo period, several times as fast as NumPy's."""
    return np.asarray(x - period * np.floor(x / period))
