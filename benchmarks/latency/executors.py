"""What fuses whole frames in the benchmarks: a Fuser, or the same without a network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refusion.benchmarks.latency.contenders import Contender, Weights
from refusion.executor import CpuExecutor
from refusion.frames import FramePair
from refusion.fused_stream import FusedStream
from refusion.fuser import Fuser
from refusion.ranges import OutputRange, RangePolicy
from refusion.tasks import Chroma
from refusion.timing import StageClock
from refusion.warp import Warp

WITHOUT_NETWORK = "no network"
"""The visible luma passes through: what all the rest costs."""


class PassThrough:
    """A backend that gives source b: everything but the network can be measured with it."""

    description = WITHOUT_NETWORK

    def run(self, sources: NDArray[np.float32]) -> NDArray[np.float32]:
        return sources[:, 1:]

    def close(self) -> None:
        """Nothing is held."""


@dataclass(frozen=True)
class FrameRunner:
    """Fuses frames, and times the stages."""

    title: str
    description: str
    clock: StageClock
    executor: Fuser | CpuExecutor

    def stream(self, chroma: Chroma | None) -> FusedStream:
        """Return what fuses one stream with a tracked range."""
        if isinstance(self.executor, Fuser):
            return self.executor.stream(chroma=chroma)
        return FusedStream(self.executor, OutputRange(RangePolicy.tracked), chroma)

    def fuse(self, pairs: Sequence[FramePair], warp: Warp | None = None) -> None:
        """Fuse a batch, each pair stretched to its own minimum and maximum."""
        frames = [(pair.a, pair.b) for pair in pairs]
        if isinstance(self.executor, Fuser):
            self.executor.batch(frames, warp=warp)
        else:
            chroma = [Chroma.B] * len(frames)
            self.executor.submit(frames, chroma, OutputRange(RangePolicy.image), warp).result()


def title_of(contender: Contender | None) -> str:
    """Return what tables call a contender, or what has no network."""
    return WITHOUT_NETWORK if contender is None else contender.title


@contextmanager
def opened(
    contender: Contender | None,
    weights: Weights | None,
    *,
    size: tuple[int, int],
    batch: int = 1,
    threads: int = 0,
) -> Iterator[FrameRunner]:
    """Open a contender that is one of our backends, or what has no network.

    Raises:
        RefusionError: It cannot run here.
    """
    title = title_of(contender)
    if contender is None or weights is None:
        clock = StageClock()
        executor = CpuExecutor(PassThrough(), clock)
        try:
            yield FrameRunner(title, executor.description, clock, executor)
        finally:
            executor.close()
        return
    with Fuser(
        weights.task,
        model=contender.model,
        weights=contender.file(weights, size=size, batch=batch),
        backend=contender.runner,
        device=contender.device,
        threads=threads,
    ) as fuser:
        fuser.clock.times_device = True
        yield FrameRunner(title, fuser.description, fuser.clock, fuser)
