"""Synthetic pairs among the real ones, for the tasks with small data sets: multi-focus, multi-exposure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from refusion.errors import InputError, UsageError
from refusion.files import IMAGE_SUFFIXES
from refusion.tasks import Task
from refusion.training.cache import load_planes
from refusion.training.data import PairSet, PairSource
from refusion.training.planes import Planes
from refusion.training.sampling import generator
from refusion.training.synthetic_exposure import exposure_pair
from refusion.training.synthetic_focus import focus_pair

Plane = NDArray[np.float32]

SYNTHETIC = 1
"""Sets the draws of synthetic pairs apart from those of the mini-batch: part of their seeds."""

MARGIN_PX = 16
"""Border cut around a patch and taken off at the end: discs, pyramids and fills reach over the border."""

FOCUS_SIGMA_PX = 4.0
"""Extent of the neighbourhood whose sharpness is compared."""


class Maker(NamedTuple):
    """How the synthetic pairs of a task are made."""

    pair: Callable[[Plane, np.random.Generator], Plane]
    """From one ideal image (H, W) to a pair (2, H, W)."""
    ideal: Callable[[Plane], Plane]
    """From a real pair (2, H, W) to the ideal image (H, W)."""


def sharper(pair: Plane) -> Plane:
    """Return an image that is sharp wherever one of a multi-focus pair is."""
    energy = [cv2.GaussianBlur(cv2.Laplacian(p, cv2.CV_32F) ** 2, (0, 0), FOCUS_SIGMA_PX) for p in pair]
    first = cv2.GaussianBlur((energy[0] > energy[1]).astype(np.float32), (0, 0), FOCUS_SIGMA_PX / 2)
    return np.asarray(pair[1] + first * (pair[0] - pair[1]), np.float32)


def well_exposed(pair: Plane) -> Plane:
    """Return a multi-exposure pair fused (Mertens et al., Exposure Fusion, Pacific Graphics 2007)."""
    fused = cv2.createMergeMertens().process([255 * plane for plane in pair])
    return np.asarray(fused, np.float32).clip(0, 1)


MAKERS = {Task.mfif: Maker(focus_pair, sharper), Task.meif: Maker(exposure_pair, well_exposed)}


class MixedPairs:
    """Pairs of which a share is synthetic; which ones, and what they show, is fixed by the seed."""

    def __init__(self, pairs: PairSet, maker: Maker, share: float, images: Planes | None = None) -> None:
        """Take the parts.

        Args:
            pairs: The real pairs.
            maker: How synthetic ones are made.
            share: The mean share of synthetic pairs, 0 to 1.
            images: Ideal images of one plane; from the real pairs if None.
        """
        self.pairs, self.maker, self.share, self.images = pairs, maker, share, images

    def draw(self, size: int, patch_px: int, seed: tuple[int, ...]) -> Tensor:
        """Return the pairs of a mini-batch, as PairSource says; the real ones are those of PairSet.draw."""
        drawn = self.pairs.draw(size, patch_px, seed)
        chosen = generator(*seed, SYNTHETIC).random(size) < self.share
        for index in np.flatnonzero(chosen):
            # Counted from 1: NumPy's seeds are the same with and without zeros at their end.
            made = self._made(patch_px, generator(*seed, SYNTHETIC, int(index) + 1))
            drawn[index] = torch.from_numpy(made).to(drawn.device)
        return drawn

    def _made(self, patch_px: int, random: np.random.Generator) -> Plane:
        planes = self.pairs.planes if self.images is None else self.images
        image = int(random.integers(len(planes)))
        size = np.minimum(planes.sizes[image], patch_px + 2 * MARGIN_PX)
        top, left = (int(random.integers(limit + 1)) for limit in planes.sizes[image] - size)
        region = planes.region(image, top, left, *size)
        ideal = self.maker.ideal(region) if self.images is None else region[0]
        ideal = np.rot90(ideal, int(random.integers(4)))
        ideal = ideal[:, ::-1] if random.integers(2) else ideal
        made = self.maker.pair(np.ascontiguousarray(ideal), random)
        top, left = ((edge - patch_px) // 2 for edge in made.shape[1:])
        return np.ascontiguousarray(made[:, top : top + patch_px, left : left + patch_px])


def with_synthetic(
    pairs: PairSet, task: Task, share: float, images: Path | None, patch_px: int, *, cache: Path | None = None
) -> PairSource:
    """Return the pairs with a share of synthetic ones among them; the pairs themselves if the share is 0.

    Args:
        pairs: The real pairs.
        task: mfif or meif.
        share: The mean share of synthetic pairs in a mini-batch, 0 to 1.
        images: Folder of images (also in folders inside of it) that are sharp, or well exposed, everywhere.
            None makes them from the real pairs: the sharper source at each place, or both exposures fused.
        patch_px: Side of a patch.
        cache: Folder where decoded images are kept; None keeps them in memory.

    Raises:
        UsageError: The task has no synthetic pairs.
        InputError: The folder holds no images, or ones that cannot be used.
        OutputError: The cache cannot be written.
    """
    if share == 0:
        return pairs
    if task not in MAKERS:
        known = " and ".join(known.name for known in MAKERS)
        raise UsageError(
            f"synthetic pairs are made for {known}, not for {task.name}; leave out synthetic={share:g}"
        )
    ideal = None if images is None else _ideal_images(images, patch_px, cache)
    return MixedPairs(pairs, MAKERS[task], share, ideal)


def _ideal_images(folder: Path, patch_px: int, cache: Path | None) -> Planes:
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}")
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    ]
    if not files:
        raise InputError(f"there are no images in {folder} (known: {', '.join(sorted(IMAGE_SUFFIXES))})")
    return load_planes(
        [(path,) for path in files], least_px=patch_px, cache=cache, owner=f"{folder.resolve()} ideal"
    )
