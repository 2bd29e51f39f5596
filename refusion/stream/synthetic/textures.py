"""Procedural textures: fractal noise, house fronts with windows and shops."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from refusion.stream.synthetic.camera import Plane
from refusion.stream.synthetic.layout import FACADE_HEIGHT_M, Bgr, Shop

Picture = NDArray[np.float32]
"""(H, W, 3) BGR, linear light."""


def fractal_noise(rng: np.random.Generator, size: int, *, octaves: int, persistence: float = 0.55) -> Plane:
    """Return noise of (size, size) in 0 to 1 that repeats without a seam; size is a power of two."""
    total = np.zeros((size, size), np.float32)
    amplitude = 1.0
    for octave in range(octaves):
        cells = min(4 << octave, size)
        coarse = rng.standard_normal((cells, cells)).astype(np.float32)
        # The wrapped border makes the cubic interpolation continuous across the edges.
        wrapped = cv2.copyMakeBorder(coarse, 2, 2, 2, 2, cv2.BORDER_WRAP)
        step = size // cells
        fine = cv2.resize(wrapped, None, fx=step, fy=step, interpolation=cv2.INTER_CUBIC)
        total += amplitude * fine[2 * step : 2 * step + size, 2 * step : 2 * step + size]
        amplitude *= persistence
    total -= total.min()
    return np.asarray(total / total.max(), np.float32)


def soft_blur(picture: NDArray[np.float32], *, sigma_x: float, sigma_y: float) -> NDArray[np.float32]:
    """Blur widely at little cost: on a picture as much smaller as the blur is wide."""
    shrink_x, shrink_y = max(1, int(sigma_x / 3)), max(1, int(sigma_y / 3))
    height, width = picture.shape[:2]
    small = cv2.resize(
        picture, (max(1, width // shrink_x), max(1, height // shrink_y)), interpolation=cv2.INTER_AREA
    )
    small = cv2.GaussianBlur(
        small, (0, 0), sigmaX=max(0.4, sigma_x / shrink_x), sigmaY=max(0.4, sigma_y / shrink_y)
    )
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


@dataclass(frozen=True)
class Facade:
    """A house front, flat: columns run along the street, rows from the eaves down to the ground."""

    albedo: Picture
    glow: Picture
    """Light given off."""
    warmth: Plane
    """Gray level in the infrared view."""
    px_per_m: float
    start_m: float


def facade(
    rng: np.random.Generator, *, start_m: float, end_m: float, px_per_m: float, shops: tuple[Shop, ...]
) -> Facade:
    """Paint a block of houses, with shops on the ground floor where there are any."""
    width, height = round((end_m - start_m) * px_per_m), round(FACADE_HEIGHT_M * px_per_m)
    albedo = _bricks(rng, width, height, px_per_m)
    glow = np.zeros((height, width, 3), np.float32)
    warmth = np.full((height, width), 82, np.float32)
    painted = Facade(albedo, glow, warmth, px_per_m, start_m)
    for floor_m in (3.9, 6.1):
        for at_m in np.arange(start_m + 0.7, end_m - 1.2, 2.1):
            _window(painted, rng, at_m, floor_m)
    for shop in shops:
        _shop_front(painted, rng, shop)
    if not shops:
        for at_m in np.arange(start_m + 0.7, end_m - 1.2, 2.1):
            _window(painted, rng, at_m, 1.0)
    _box(painted, start_m, end_m, 7.65, 8.0, albedo=(0.16, 0.17, 0.18), warmth=72)
    _box(painted, start_m, end_m, 3.35, 3.5, albedo=(0.2, 0.21, 0.22), warmth=80)
    return painted


def _bricks(rng: np.random.Generator, width: int, height: int, px_per_m: float) -> Picture:
    row_px, brick_px = max(1.0, 0.16 * px_per_m), max(2.0, 0.42 * px_per_m)
    rows = np.arange(height)[:, None] / row_px
    columns = np.arange(width)[None, :] / brick_px + 0.5 * (rows.astype(int) % 2)
    tints = rng.uniform(0.65, 1.2, (int(rows.max()) + 2, int(columns.max()) + 2)).astype(np.float32)
    tint = tints[rows.astype(int), columns.astype(int)]
    mortar = ((rows % 1) < 0.14) | ((columns % 1) < 0.06)
    bricks = tint[..., None] * np.array([0.07, 0.085, 0.14], np.float32)
    return np.where(mortar[..., None], np.float32(0.16), bricks).astype(np.float32)


def _box(
    on: Facade,
    left_m: float,
    right_m: float,
    bottom_m: float,
    top_m: float,
    *,
    albedo: Bgr | None = None,
    glow: Bgr | None = None,
    warmth: float | None = None,
) -> None:
    """Fill a rectangle, given in metres along the street and up, in the planes named."""
    rows = slice(
        max(0, round((FACADE_HEIGHT_M - top_m) * on.px_per_m)),
        max(0, round((FACADE_HEIGHT_M - bottom_m) * on.px_per_m)),
    )
    columns = slice(
        max(0, round((left_m - on.start_m) * on.px_per_m)),
        max(0, round((right_m - on.start_m) * on.px_per_m)),
    )
    if albedo is not None:
        on.albedo[rows, columns] = albedo
    if glow is not None:
        on.glow[rows, columns] = glow
    if warmth is not None:
        on.warmth[rows, columns] = warmth


def _window(on: Facade, rng: np.random.Generator, at_m: float, floor_m: float) -> None:
    lit = rng.uniform() < 0.3
    warm: Bgr = (0.10, 0.24, 0.42) if rng.uniform() < 0.75 else (0.36, 0.30, 0.24)
    _box(on, at_m - 0.1, at_m + 1.15, floor_m - 0.12, floor_m + 1.5, albedo=(0.2, 0.22, 0.24), warmth=88)
    _box(on, at_m, at_m + 1.05, floor_m, floor_m + 1.4, albedo=(0.02, 0.02, 0.02), warmth=118 if lit else 62)
    if lit:
        dim = rng.uniform(0.5, 1.1)
        _box(
            on, at_m, at_m + 1.05, floor_m, floor_m + 1.4, glow=(warm[0] * dim, warm[1] * dim, warm[2] * dim)
        )
        curtain_m = rng.uniform(0.15, 0.4)
        _box(on, at_m, at_m + curtain_m, floor_m, floor_m + 1.4, glow=(0.04, 0.09, 0.16))
    wood, dark = (0.2, 0.22, 0.24), (0.0, 0.0, 0.0)
    _box(on, at_m + 0.5, at_m + 0.56, floor_m, floor_m + 1.4, albedo=wood, glow=dark)
    _box(on, at_m, at_m + 1.05, floor_m + 0.9, floor_m + 0.96, albedo=wood, glow=dark)


def _shop_front(on: Facade, rng: np.random.Generator, shop: Shop) -> None:
    left, right = shop.start_m, shop.start_m + shop.length_m
    glass_left, glass_right = left + 0.2, right - 1.3
    black: Bgr = (0.0, 0.0, 0.0)
    _box(on, left, right, 0.0, 3.3, albedo=(0.05, 0.06, 0.06), warmth=84)
    _box(on, glass_left, glass_right, 0.55, 2.45, albedo=black, glow=shop.glow, warmth=124)
    # Shelves and goods: the fine visible detail that the infrared view lacks, glass being opaque to it.
    for shelf_m in (0.95, 1.4, 1.85):
        at_m = glass_left + 0.1
        while at_m < glass_right - 0.3:
            wide, tall = rng.uniform(0.08, 0.28), rng.uniform(0.1, 0.36)
            tint = rng.uniform(0.02, 0.9, 3) * np.array(shop.glow)
            _box(on, at_m, at_m + wide, shelf_m, shelf_m + tall, glow=(tint[0], tint[1], tint[2]))
            at_m += wide + rng.uniform(0.03, 0.15)
        _box(on, glass_left, glass_right, shelf_m - 0.05, shelf_m, glow=(0.08, 0.1, 0.12))
    for post_m in np.linspace(glass_left, glass_right, 3):
        _box(on, post_m - 0.04, post_m + 0.04, 0.55, 2.45, glow=black, albedo=(0.08, 0.08, 0.08), warmth=92)
    door_left, door_right = right - 1.1, right - 0.15
    dim = tuple(0.35 * g for g in shop.glow)
    _box(on, door_left, door_right, 0.0, 2.35, glow=black, albedo=(0.05, 0.05, 0.07), warmth=90)
    _box(on, door_left + 0.15, door_right - 0.15, 0.9, 2.15, glow=(dim[0], dim[1], dim[2]), warmth=112)
    _sign(on, shop, glass_left, right - 0.2)


def _sign(on: Facade, shop: Shop, left_m: float, right_m: float) -> None:
    """Paint the name in luminous letters on a dark board."""
    backing = tuple(0.02 * c for c in shop.sign)
    _box(
        on,
        left_m,
        right_m,
        2.55,
        3.28,
        albedo=(0.03,) * 3,
        glow=(backing[0], backing[1], backing[2]),
        warmth=96,
    )
    board = (round((right_m - left_m) * on.px_per_m), round(0.73 * on.px_per_m))
    letters = np.zeros((300, 2400), np.uint8)
    cv2.putText(letters, shop.name, (60, 200), cv2.FONT_HERSHEY_DUPLEX, 3.0, 255, 9, cv2.LINE_AA)
    x, y, width, height = cv2.boundingRect(letters)
    letters = letters[y - 16 : y + height + 16, x - 24 : x + width + 24]
    fitted = cv2.resize(letters, (max(1, board[0]), max(1, board[1])), interpolation=cv2.INTER_AREA)
    top = round((FACADE_HEIGHT_M - 3.28) * on.px_per_m)
    left = round((left_m - on.start_m) * on.px_per_m)
    area = (slice(top, top + fitted.shape[0]), slice(left, left + fitted.shape[1]))
    target = on.glow[area]
    lit = (fitted[: target.shape[0], : target.shape[1], None] / np.float32(255)).astype(np.float32)
    target += lit * np.array(shop.sign, np.float32)
    on.warmth[area] += 7 * lit[..., 0]
