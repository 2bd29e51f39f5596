"""Mini-batches in the order in which a run asks for them: cut on its device, or ahead of it by workers."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence

import cv2
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from refusion.training.data import Batch, PairSet, PairSource

Step = tuple[int, int]
"""(stream, number): with the seed of the run it fixes a mini-batch."""

RESIDENT_SHARE = 0.5
"""Share of a GPU's free memory that pairs may take; the rest is for the steps (the meta step of 8 doubled
128x128 patches takes some gigabytes)."""


def resident(pairs: PairSet, device: torch.device) -> PairSet:
    """Return the pairs on a GPU if they fit into RESIDENT_SHARE of its free memory, else as they are."""
    if device.type != "cuda":
        return pairs
    free_bytes, _ = torch.cuda.mem_get_info(device)
    return pairs.to(device) if pairs.planes.bytes <= RESIDENT_SHARE * free_bytes else pairs


class BatchLoader:
    """Gives the mini-batches of steps, in order, on a device.

    The mini-batch of a step is the same whatever the number of workers and wherever the pairs lie.
    """

    def __init__(
        self,
        source: PairSource,
        *,
        size: int,
        patch_px: int,
        seed: int,
        workers: int = 0,
        device: torch.device | str = "cpu",
        share: tuple[int, int] = (0, 1),
        as_batch: Callable[[Tensor], Batch] = Batch.from_pairs,
    ) -> None:
        """Start no worker yet: that happens with the first steps.

        Args:
            source: The pairs.
            size: Pairs a mini-batch, before it is doubled.
            patch_px: Side of a patch.
            seed: The run's.
            workers: Processes that cut patches ahead; 0 cuts them in this one, as pairs on a GPU need.
            device: Where mini-batches are wanted.
            share: (rank, processes): of every mini-batch only the pairs rank, rank + processes, ...
            as_batch: Makes a mini-batch of what is drawn.
        """
        self.device = torch.device(device)
        self._as_batch = as_batch
        self._pairs = _PairsOfSteps(source, size, patch_px, seed, share)
        self._order = _Order()
        self._loader = self._start(workers) if workers else None

    def batches(self, steps: Sequence[Step]) -> Iterator[Batch]:
        """Yield the mini-batch of each step; workers stay ready for the next call."""
        for pairs in self._tensors(steps):
            # Doubled here: half the bytes come from the workers, and half go to the device.
            yield self._as_batch(pairs.to(self.device, non_blocking=True))

    def _tensors(self, steps: Sequence[Step]) -> Iterator[Tensor]:
        if self._loader is None:
            return map(self._pairs.__getitem__, steps)
        self._order.steps = steps
        return iter(self._loader)

    def _start(self, workers: int) -> DataLoader[Tensor]:
        return DataLoader(
            self._pairs,
            sampler=self._order,
            batch_size=None,
            num_workers=workers,
            persistent_workers=True,
            multiprocessing_context=_context(),
            worker_init_fn=_one_thread,
            pin_memory=self.device.type == "cuda",
        )


class _PairsOfSteps(Dataset[Tensor]):
    """A map from steps to the pairs of their mini-batches, (N, 2, patch, patch)."""

    def __init__(
        self, source: PairSource, size: int, patch_px: int, seed: int, share: tuple[int, int]
    ) -> None:
        self.source, self.size, self.patch_px, self.seed, self.share = source, size, patch_px, seed, share

    def __getitem__(self, step: Step) -> Tensor:
        rank, processes = self.share
        return self.source.draw(self.size, self.patch_px, (self.seed, *step))[rank::processes]


class _Order(Sampler[Step]):
    """The steps of the next pass over the loader."""

    def __init__(self) -> None:
        self.steps: Sequence[Step] = ()

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)


def _context() -> multiprocessing.context.BaseContext:
    """Return how workers are started: never by forking a process that has threads or a GPU at work."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    # Imported once in the server, instead of once in each worker.
    context.set_forkserver_preload([__name__])
    return context


def _one_thread(_worker: int) -> None:
    cv2.setNumThreads(1)
