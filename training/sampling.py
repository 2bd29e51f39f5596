"""The random draws of training: which patch of which image, how it is turned; all fixed by a seed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


class Crops(NamedTuple):
    """Square patches, one an entry; every array has shape (N,)."""

    images: IntArray
    """Index of the image."""
    tops: IntArray
    lefts: IntArray
    turns: IntArray
    """Quarter turns counterclockwise, 0 to 3."""
    flips: IntArray
    """1 where left and right are swapped, after the turns."""
    patch_px: int


def generator(*seed: int) -> np.random.Generator:
    """Return the source of random numbers of a seed: the same for the same numbers, on every platform."""
    return np.random.default_rng(seed)


def draw_crops(random: np.random.Generator, sizes: IntArray, count: int, patch_px: int) -> Crops:
    """Draw patches of images, with any of the eight turns and flips of a square.

    Args:
        random: The source of random numbers.
        sizes: (images, 2): height and width of each image, none less than the patch.
        count: Number of patches; an image may come twice.
        patch_px: Side of a patch.
    """
    rows: list[tuple[int, ...]] = []
    for image in random.integers(len(sizes), size=count):
        height, width = sizes[image]
        limits = (height - patch_px + 1, width - patch_px + 1, 4, 2)
        rows.append((image, *(int(random.integers(limit)) for limit in limits)))
    images, tops, lefts, turns, flips = np.array(rows, np.int64).reshape(count, 5).T
    return Crops(images, tops, lefts, turns, flips, patch_px)
