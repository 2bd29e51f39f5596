"""Pairs for training, and mini-batches that depend on (seed, stream, step) alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from refusion.errors import InputError
from refusion.tasks import Task
from refusion.training.cache import load_planes
from refusion.training.layouts import find_pairs
from refusion.training.planes import Planes, to_fixed_point
from refusion.training.sampling import draw_crops, generator


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


class PairSource(Protocol):
    """Where the pairs of mini-batches come from."""

    def draw(self, size: int, patch_px: int, seed: tuple[int, ...]) -> Tensor:
        """Return the pairs of a mini-batch, (size, 2, patch, patch) in [0, 1], fixed by the seed."""
        ...


class PairSet(Sequence[NDArray[np.float32]]):
    """Registered pairs of luma planes with their names; item i is pair i, float32 (2, H, W) in [0, 1]."""

    def __init__(self, names: Sequence[str], planes: Planes) -> None:
        self.names = tuple(names)
        self.planes = planes

    @classmethod
    def from_arrays(cls, names: Sequence[str], pairs: Sequence[NDArray[np.float32]]) -> PairSet:
        """Keep pairs, (2, H, W) in [0, 1] each, in memory."""
        return cls(names, Planes.in_memory([to_fixed_point(pair, one=1) for pair in pairs]))

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> NDArray[np.float32]:  # type: ignore[override]  # no slices
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self.planes.image(index)

    def split(self, held_out: int, seed: int) -> tuple[PairSet, PairSet]:
        """Return (training, validation), the latter with `held_out` pairs chosen by the seed.

        Raises:
            InputError: No pair would be left for training.
        """
        if held_out >= len(self.names):
            raise InputError(f"{len(self.names)} pairs are too few to hold {held_out} out for validation")
        order = generator(seed, 0).permutation(len(self.names))
        return self._subset(sorted(order[held_out:])), self._subset(sorted(order[:held_out]))

    def _subset(self, indices: list[int]) -> PairSet:
        return PairSet([self.names[i] for i in indices], self.planes.select(indices))

    def to(self, device: torch.device | str) -> PairSet:
        """Return the same pairs on a device, where mini-batches are then cut."""
        return PairSet(self.names, self.planes.to(device))

    def draw(self, size: int, patch_px: int, seed: tuple[int, ...]) -> Tensor:
        """Draw random patches with random flips and quarter turns, as PairSource says."""
        return self.planes.crops(draw_crops(generator(*seed), self.planes.sizes, size, patch_px))

    def batch(self, size: int, patch_px: int, seed: tuple[int, ...]) -> Batch:
        """Return the mini-batch of a seed, on the device of the pairs."""
        return Batch.from_pairs(self.draw(size, patch_px, seed))


def load_pairs(
    data: Path | Sequence[Path], task: Task, patch_px: int, *, cache: Path | None = None
) -> PairSet:
    """Return all pairs of a task in a data folder, or in several.

    Args:
        data: Folder or folders, each with one of the layouts of `refusion.training.layouts`. The pairs of
            several are called after their folder, too.
        task: What the pairs are for.
        patch_px: Side of a training patch: no image may be smaller.
        cache: Folder where decoded images are kept for the next run; None keeps them in memory.

    Raises:
        InputError: There are no pairs, or every mistake in the folder at once, a line a file: no partner,
            unreadable, different sizes, smaller than a patch.
        OutputError: The cache cannot be written.
    """
    folders = [data] if isinstance(data, Path) else data
    groups = [find_pairs(folder, task) for folder in folders]
    mistakes = [line for found in groups for line in found.mistakes]
    files = [pair for found in groups for pair in found.pairs]
    if not files:
        listed = ", ".join(map(str, folders))
        raise InputError(f"no two images in {listed} are a pair:\n  " + "\n  ".join(mistakes))
    planes = load_planes(
        [(pair.a, pair.b) for pair in files],
        least_px=patch_px,
        cache=cache,
        owner=" ".join((*(str(folder.resolve()) for folder in folders), task.name)),
        mistakes=mistakes,
    )
    prefixes = [f"{folder}/" if len(folders) > 1 else "" for folder in folders]
    names = [
        prefix + pair.name for prefix, found in zip(prefixes, groups, strict=True) for pair in found.pairs
    ]
    return PairSet(names, planes)
