"""Data-parallel training: the processes that torchrun starts, each with its share of every mini-batch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from refusion.errors import BackendError, UsageError


@dataclass(frozen=True)
class Processes:
    """The processes of a run, seen from one of them."""

    rank: int = 0
    count: int = 1
    device: torch.device = torch.device("cpu")  # noqa: RUF009 (immutable)

    @property
    def is_first(self) -> bool:
        """Whether this process writes for all."""
        return self.rank == 0

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by their average over all processes, in place. All must call it alike."""
        if self.count == 1 or not tensors:
            return
        # One message for all: a module has some hundred small tensors.
        flat = torch.cat([tensor.detach().reshape(-1) for tensor in tensors])
        with self._together():
            dist.all_reduce(flat)
        flat /= self.count
        with torch.no_grad():
            parts = flat.split([tensor.numel() for tensor in tensors])
            for tensor, part in zip(tensors, parts, strict=True):
                tensor.copy_(part.view(tensor.shape))

    def agree(self, wish: bool) -> bool:
        """Return the wish of the first process, on all of them: clocks differ."""
        if self.count == 1:
            return wish
        wishes = torch.tensor([float(wish)], device=self.device)
        with self._together():
            dist.broadcast(wishes, src=0)
        return bool(wishes.item())

    @contextmanager
    def first_before_others(self) -> Iterator[None]:
        """Run a block on the first process, then on the others: they find what it has written."""
        if not self.is_first:
            self.wait()
        yield
        if self.is_first:
            self.wait()

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.count > 1:
            with self._together():
                dist.barrier()

    @contextmanager
    def _together(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:  # of gloo and NCCL alike
            raise BackendError(
                f"process {self.rank} of {self.count} lost the others ({str(error).splitlines()[0]}): "
                "the first of them to end says why; go on with --resume"
            ) from None


def were_restarted() -> bool:
    """Whether torchrun started the processes again (--max-restarts), after one of them had died."""
    return _restarts() > 0


def _restarts() -> int:
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


ALONE = Processes()
"""The only process of a run, on the CPU."""


@contextmanager
def joined_processes(device: str, batch: int) -> Iterator[Processes]:
    """Join the processes of this run: those that torchrun started, or this one alone.

    Args:
        device: auto, cpu or cuda; on CUDA each process of a machine takes a GPU of its own.
        batch: Pairs of a joint mini-batch.

    Raises:
        UsageError: The mini-batch cannot be shared equally, or there are more processes than GPUs.
        BackendError: There is no GPU where one was asked for.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if batch % count:
        raise UsageError(f"batch={batch} cannot be shared by {count} processes: give a multiple of {count}")
    chosen = _device(device, int(os.environ.get("LOCAL_RANK", "0")))
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    if count == 1:
        yield Processes(device=chosen)
        return
    store, rank, count = next(dist.rendezvous("env://"))  # type: ignore[attr-defined]
    # torchrun's store outlives its restarts, and holds the addresses of those that are gone.
    store = dist.PrefixStore(f"restart {_restarts()}", store)  # type: ignore[attr-defined]
    kind = "nccl" if chosen.type == "cuda" else "gloo"
    dist.init_process_group(kind, store=store, rank=rank, world_size=count)
    try:
        processes = Processes(rank, count, chosen)
        yield processes
        # Where one leaves while gloo still talks to it, now and then the other aborts at its own end.
        processes.wait()
    finally:
        dist.destroy_process_group()


def _device(name: str, local_rank: int) -> torch.device:
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise BackendError(
            f"device=cuda, but PyTorch {torch.__version__} sees no GPU: install a CUDA build, "
            "or give device=cpu"
        )
    if local_rank >= torch.cuda.device_count():
        raise UsageError(
            f"this machine has {torch.cuda.device_count()} GPUs, too few for a process each: "
            "give torchrun a smaller --nproc-per-node"
        )
    return torch.device("cuda", local_rank)
