"""The moving scene: what stands still is rendered once, figures and smoke are laid over it frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import count as count_up
from typing import Any
from urllib.parse import parse_qsl

import numpy as np

from refusion.errors import UsageError
from refusion.frames import FramePair
from refusion.stream.synthetic.camera import Camera, Plane
from refusion.stream.synthetic.figures import draw_car, draw_cat, draw_dog, draw_person
from refusion.stream.synthetic.layout import SMOKE_Z_M, Layout, Walker
from refusion.stream.synthetic.lighting import HeadLights, irradiance
from refusion.stream.synthetic.sensor import Sensors
from refusion.stream.synthetic.smoke import Smoke
from refusion.stream.synthetic.sprite import Sprite
from refusion.stream.synthetic.street import render_scenery
from refusion.stream.synthetic.textures import Picture

_SCHEME = "synthetic:"
_SMALLEST_PX = 16
_LARGEST_PX = (4096, 2304)
_FASTEST_HZ = 1000.0


class SyntheticScene:
    """A street at night, rendered from one description into two registered views.

    The visible view shows lit shops, lamps and wet asphalt: people in dark clothes, in the shadow or behind
    drifting smoke are faint in it. The infrared view shows the people, a dog, a cat and a car's warm parts,
    and hardly any texture. A frame depends on the settings and its number alone.

    Args:
        width_px: Width of the frames, 16 to 4096.
        height_px: Height of the frames, 16 to 2304.
        seed: Picks names, colours, clothes, the skyline and where everyone starts; 0 or more.
        rate_hz: Frames a second.
        frame_count: How many pairs iterating gives; None never ends.

    Raises:
        UsageError: A setting is out of its range.
    """

    def __init__(
        self,
        *,
        width_px: int = 640,
        height_px: int = 480,
        seed: int = 0,
        rate_hz: float = 25.0,
        frame_count: int | None = None,
    ) -> None:
        self.check_size(width_px, height_px)
        if seed < 0:
            raise UsageError(f"a synthetic scene's seed must be 0 or more, not {seed}")
        if not 0 < rate_hz <= _FASTEST_HZ:
            raise UsageError(
                f"a synthetic scene's rate must be above 0 and at most {_FASTEST_HZ:g} Hz, not {rate_hz:g}"
            )
        if frame_count is not None and frame_count < 1:
            raise UsageError(f"a synthetic scene's frames must be 1 or more, not {frame_count}")
        self.width_px, self.height_px, self.seed = width_px, height_px, seed
        self.rate_hz, self.frame_count = float(rate_hz), frame_count
        self._camera = Camera(width_px, height_px)
        self._layout = Layout.of(seed, self._camera)
        self._scenery = render_scenery(self._layout, self._camera)
        self._smoke = Smoke(self._layout, self._camera, self._scenery)
        self._head_lights = HeadLights(self._camera, self._layout.car.z_m)
        self._sensors = Sensors(self._layout, self._camera)

    @staticmethod
    def check_size(width_px: int, height_px: int) -> None:
        """Raise UsageError if no scene can have this size."""
        for name, value, most in (("width", width_px, _LARGEST_PX[0]), ("height", height_px, _LARGEST_PX[1])):
            if not _SMALLEST_PX <= value <= most:
                raise UsageError(
                    f"a synthetic scene's {name} must be {_SMALLEST_PX} to {most} pixels, not {value}"
                )

    @classmethod
    def from_uri(cls, uri: str) -> SyntheticScene:
        """Return the scene that a source address names.

        Examples:
            >>> scene = SyntheticScene.from_uri("synthetic:?width=320&height=240&seed=3&rate=25&frames=50")
            >>> scene.width_px, scene.frame_count
            (320, 50)

        Raises:
            UsageError: The address does not begin with `synthetic:`, has an unknown key or a bad value.
        """
        if not uri.startswith(_SCHEME):
            raise UsageError(f"a synthetic source begins with '{_SCHEME}', not '{uri}'")
        query = uri[len(_SCHEME) :]
        if query and not query.startswith("?"):
            raise UsageError(f"'{uri}': settings follow a '?', as in {_SCHEME}?width=640&height=480")
        return cls(**_settings(uri, query[1:]))

    def pair(self, index: int) -> FramePair:
        """Return pair number `index`: a infrared (H, W) uint8, b visible (H, W, 3) BGR uint8.

        Raises:
            UsageError: The number is negative.
        """
        if index < 0:
            raise UsageError(f"a synthetic scene's frames count from 0, there is none {index}")
        time_s = index / self.rate_hz
        visible, infrared = self._scenery.visible.copy(), self._scenery.infrared.copy()
        layers: list[tuple[float, Callable[[float, Picture, Plane], None]]] = [
            (walker.z_m, partial(self._draw_walker, walker)) for walker in self._layout.walkers
        ]
        layers.append((self._layout.car.z_m, self._draw_car))
        layers.append((self._layout.cat_m[1], self._draw_cat))
        layers.append((SMOKE_Z_M, self._smoke.cover))
        for _, draw in sorted(layers, key=lambda layer: -layer[0]):
            draw(time_s, visible, infrared)
        return FramePair(
            a=self._sensors.infrared(infrared, index),
            b=self._sensors.visible(visible, index),
            time_ns=round(index * 1_000_000_000 / self.rate_hz),
        )

    def frames(self, count: int | None = None) -> Iterator[FramePair]:
        """Yield the first `count` pairs; None never ends."""
        for index in count_up() if count is None else range(count):
            yield self.pair(index)

    def __iter__(self) -> Iterator[FramePair]:
        return self.frames(self.frame_count)

    def _draw_walker(self, walker: Walker, time_s: float, visible: Picture, infrared: Plane) -> None:
        x_m = walker.x_m(time_s)
        sprite = Sprite(
            self._camera,
            x_m=x_m,
            z_m=walker.z_m,
            left_m=-0.9,
            right_m=2.0 if walker.with_dog else 0.9,
            top_m=2.1,
            mirrored=walker.end_x_m < walker.start_x_m,
        )
        if walker.with_dog:
            draw_dog(sprite, walker, time_s)
        draw_person(sprite, walker, time_s)
        self._cover(sprite, (x_m, 1.2, walker.z_m), visible, infrared)

    def _draw_cat(self, time_s: float, visible: Picture, infrared: Plane) -> None:
        x_m, z_m = self._layout.cat_m
        sprite = Sprite(self._camera, x_m=x_m, z_m=z_m, left_m=-0.5, right_m=0.4, top_m=0.7)
        draw_cat(sprite, time_s)
        self._cover(sprite, (x_m, 0.3, z_m), visible, infrared)

    def _draw_car(self, time_s: float, visible: Picture, infrared: Plane) -> None:
        car = self._layout.car
        x_m = car.x_m(time_s)
        sprite = Sprite(self._camera, x_m=x_m, z_m=car.z_m, left_m=-2.4, right_m=2.4, top_m=1.7)
        draw_car(sprite, car)
        self._cover(sprite, (x_m, 1.0, car.z_m), visible, infrared)
        self._head_lights.add(visible, self._scenery.depth_m, x_m)

    def _cover(
        self, sprite: Sprite, at_m: tuple[float, float, float], visible: Picture, infrared: Plane
    ) -> None:
        x, y, z = (np.full((1, 1), value, np.float32) for value in at_m)
        light = irradiance(self._layout, x, y, z, normal="camera")
        sprite.cover(visible, infrared, self._scenery.depth_m, at_m[2], light)


def _settings(uri: str, query: str) -> dict[str, Any]:
    """Return SyntheticScene's arguments from the part of an address behind the '?'."""
    known: dict[str, tuple[str, type[int] | type[float]]] = {
        "width": ("width_px", int),
        "height": ("height_px", int),
        "seed": ("seed", int),
        "rate": ("rate_hz", float),
        "frames": ("frame_count", int),
    }
    settings: dict[str, Any] = {}
    for key, text in parse_qsl(query, keep_blank_values=True):
        if key not in known:
            raise UsageError(f"'{uri}': there is no setting '{key}'; choose from {', '.join(known)}")
        argument, kind = known[key]
        if argument in settings:
            raise UsageError(f"'{uri}': '{key}' is given twice")
        try:
            settings[argument] = kind(text)
        except ValueError:
            wanted = "a whole number" if kind is int else "a number"
            raise UsageError(f"'{uri}': {key} must be {wanted}, not '{text}'") from None
    return settings
