"""The one description of the scene that both views are rendered from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from refusion.stream.synthetic.camera import Camera

Bgr = tuple[float, float, float]
"""Linear light or reflectance."""

FACADE_X_M = -6.0
FACADE_HEIGHT_M = 8.0
NEAR_BLOCK_M = (4.0, 19.0)
FAR_BLOCK_M = (26.0, 46.0)
ROAD_HALF_WIDTH_M = 3.0
CROSS_STREET_M = (19.5, 25.5)
ZEBRA_M = (11.2, 13.6)
PARK_X_M = 5.2
BACKDROP_Z_M = 70.0
SMOKE_Z_M = 9.0

_NAMES = ("CAFE LUNA", "BOOKS", "BAKERY", "RECORDS", "NOODLES", "FLORIST", "CINEMA", "TAILOR", "GALLERY")


@dataclass(frozen=True)
class Light:
    """A point light; `spread` is the cosine of half a lamp's cone, None for a shop window's light."""

    x_m: float
    y_m: float
    z_m: float
    power: Bgr
    spread: float | None = None


@dataclass(frozen=True)
class Shop:
    """One shop front of the near block."""

    name: str
    start_m: float
    length_m: float
    glow: Bgr
    sign: Bgr


@dataclass(frozen=True)
class Walker:
    """Who crosses the frame at one distance, from hiding place to hiding place; stands where speed is 0."""

    z_m: float
    start_x_m: float
    end_x_m: float
    speed_m_s: float
    offset_m: float
    height_m: float
    coat: Bgr
    trousers: Bgr
    warmth: float
    with_dog: bool = False

    def x_m(self, time_s: float) -> float:
        span = abs(self.end_x_m - self.start_x_m)
        if span == 0:
            return self.start_x_m
        travelled = (self.offset_m + self.speed_m_s * time_s) % span
        return self.start_x_m + (travelled if self.end_x_m > self.start_x_m else -travelled)


@dataclass(frozen=True)
class Layout:
    """Everything in the scene: where it is, what light it gives or returns, how warm it is."""

    seed: int
    lamps: tuple[Light, ...]
    shops: tuple[Shop, ...]
    walkers: tuple[Walker, ...]
    car: Walker
    cat_m: tuple[float, float]
    lights: tuple[Light, ...]

    @classmethod
    def of(cls, seed: int, camera: Camera) -> Layout:
        """Lay the scene out: the seed picks names, colours, clothes and where everyone starts."""
        rng = np.random.default_rng((seed, 1))
        lamps = tuple(
            Light(x, 4.6, z, (7.5, 14.0, 22.0), 0.55) for x, z in ((-3.5, 10.2), (3.6, 17.0), (-3.5, 27.0))
        )
        shops = _shops(rng)
        shop_lights = tuple(
            Light(-5.7, 1.7, s.start_m + s.length_m / 2, (5 * s.glow[0], 5 * s.glow[1], 5 * s.glow[2]))
            for s in shops
        )
        return cls(
            seed=seed,
            lamps=lamps,
            shops=shops,
            walkers=_walkers(rng, camera),
            car=_car(rng, camera),
            cat_m=(1.75 + rng.uniform(-0.2, 0.2), 7.6),
            lights=lamps + shop_lights,
        )


def _shops(rng: np.random.Generator) -> tuple[Shop, ...]:
    names = rng.permutation(_NAMES)
    glows: list[Bgr] = [(0.30, 0.62, 0.92), (0.66, 0.76, 0.74), (0.40, 0.70, 0.86)]
    signs: list[Bgr] = [(0.15, 0.5, 3.0), (2.6, 1.2, 0.3), (0.5, 2.2, 0.7), (1.9, 0.4, 2.4)]
    colours = rng.permutation(len(signs))
    starts = (4.2, 9.4, 14.2)
    return tuple(
        Shop(str(names[i]), start, 4.5, glows[int(rng.integers(len(glows)))], signs[int(colours[i])])
        for i, start in enumerate(starts)
    )


def _walkers(rng: np.random.Generator, camera: Camera) -> tuple[Walker, ...]:
    def walker(z: float, start: float, end: float, speed: float, at: float, with_dog: bool = False) -> Walker:
        dark = rng.uniform(0.02, 0.05)
        coat = tuple(float(c) for c in dark + rng.uniform(0, 0.05, 3))
        return Walker(
            z_m=z,
            start_x_m=start,
            end_x_m=end,
            speed_m_s=speed,
            offset_m=abs(at - start) + float(rng.uniform(0, 0.3)),
            height_m=float(rng.uniform(1.66, 1.86)),
            coat=(coat[0], coat[1], coat[2]),
            trousers=(dark, dark * 0.8, dark * 0.7),
            warmth=float(rng.uniform(0.94, 1.06)),
            with_dog=with_dog,
        )

    def right(z: float) -> float:
        return max(camera.right_edge_m(z), 0.0) + 1.5

    left = FACADE_X_M - 0.8  # Inside the houses: walkers come out of a door and go in again.
    return (
        walker(12.4, left, right(12.4), 1.25, -1.3),
        walker(9.6, right(9.6) + 1.5, left, 1.1, 1.9, with_dog=True),
        walker(10.6, 4.0, 4.0, 0.0, 4.0),
        walker(17.6, left, right(17.6), 1.4, 0.9),
    )


def _car(rng: np.random.Generator, camera: Camera) -> Walker:
    z = 21.5
    start = FACADE_X_M * z / NEAR_BLOCK_M[1] - 15.0  # Far enough for the beam to be hidden, too.
    return Walker(
        z_m=z,
        start_x_m=start,
        end_x_m=max(camera.right_edge_m(z), 0.0) + 14.0,
        speed_m_s=4.0,
        offset_m=-start + 2.4,
        height_m=1.45,
        coat=(0.26, 0.15, 0.11) if rng.uniform() < 0.5 else (0.10, 0.11, 0.30),
        trousers=(0.02, 0.02, 0.02),
        warmth=1.0,
    )
