"""Pairs for training: luma planes in memory, mini-batches that depend on (seed, step) alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from refusion.errors import InputError
from refusion.files import match_by_stem, read_image
from refusion.frames import size_text
from refusion.ops.reference import luma


class Batch(NamedTuple):
    """A mini-batch, doubled with the two sources swapped."""

    sources: Tensor
    """What the network sees, (2N, 2, H, W) in [0, 1]: N pairs as (a, b), then the same as (b, a)."""
    targets: Tensor
    """What reconstruction must return, same shape: always in (a, b) order."""

    @classmethod
    def from_pairs(cls, pairs: Tensor) -> Batch:
        """Double pairs, (N, 2, H, W)."""
        return cls(torch.cat((pairs, pairs.flip(1))), torch.cat((pairs, pairs)))


@dataclass(frozen=True)
class PairSet:
    """Registered pairs of luma planes, float32 (2, H, W) in [0, 1] each, with their names."""

    names: tuple[str, ...]
    pairs: tuple[NDArray[np.float32], ...]

    def split(self, held_out: int, seed: int) -> tuple[PairSet, PairSet]:
        """Return (training, validation), the latter with `held_out` pairs chosen by the seed."""
        if held_out >= len(self.names):
            raise InputError(f"{len(self.names)} pairs are too few to hold {held_out} out for validation")
        order = np.random.default_rng((seed, 0)).permutation(len(self.names))
        return self._subset(sorted(order[held_out:])), self._subset(sorted(order[:held_out]))

    def _subset(self, indices: list[int]) -> PairSet:
        return PairSet(tuple(self.names[i] for i in indices), tuple(self.pairs[i] for i in indices))

    def batch(self, size: int, patch_px: int, seed: tuple[int, ...]) -> Batch:
        """Draw random crops with random flips and quarter turns, fixed by the seed."""
        random = np.random.default_rng(seed)
        crops = []
        for index in random.integers(len(self.pairs), size=size):
            pair = self.pairs[index]
            top = random.integers(pair.shape[1] - patch_px + 1)
            left = random.integers(pair.shape[2] - patch_px + 1)
            crop = pair[:, top : top + patch_px, left : left + patch_px]
            crop = np.rot90(crop, int(random.integers(4)), axes=(1, 2))
            crops.append(crop[:, :, ::-1] if random.integers(2) else crop)
        pairs = torch.from_numpy(np.ascontiguousarray(np.stack(crops)))
        return Batch.from_pairs(pairs)


def load_pairs(folder_a: Path, folder_b: Path, patch_px: int) -> PairSet:
    """Read all pairs of two folders, matched by file stem.

    Raises:
        InputError: Every mistake in the folders at once, a line a file: no partner, unreadable,
            different sizes, smaller than a patch.
    """
    matches = match_by_stem(folder_a, folder_b)
    names: list[str] = []
    pairs: list[NDArray[np.float32]] = []
    mistakes = [f"{path} has no partner of the same name" for path in matches.only_a + matches.only_b]
    for stem, path_a, path_b in matches.pairs:
        try:
            a, b = read_image(path_a), read_image(path_b)
        except InputError as error:
            mistakes.append(str(error))
            continue
        if a.shape[:2] != b.shape[:2]:
            mistakes.append(f"{path_a} is {size_text(a)} but {path_b} is {size_text(b)}")
        elif min(a.shape[:2]) < patch_px:
            mistakes.append(f"{path_a} is {size_text(a)}, smaller than a patch of {patch_px} pixels")
        else:
            names.append(stem)
            pairs.append(np.stack((luma(a), luma(b))) / np.float32(255))
    if mistakes:
        raise InputError("these files cannot be trained on; mend or remove them:\n  " + "\n  ".join(mistakes))
    return PairSet(tuple(names), tuple(pairs))
