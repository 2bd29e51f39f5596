"""What fuses whole frames in the benchmarks: a Fuser, or the same without a network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from refusion.benchmarks.latency.contenders import Contender
from refusion.executor import CpuExecutor
from refusion.frames import FramePair
from refusion.fused_stream import FusedStream
from refusion.fuser import Fuser
from refusion.ranges import OutputRange, RangePolicy
from refusion.tasks import Chroma, Task
from refusion.timing import StageClock

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

    def fuse(self, pair: FramePair) -> None:
        """Fuse one pair, stretched to its own minimum and maximum."""
        if isinstance(self.executor, Fuser):
            self.executor(pair.a, pair.b)
        else:
            frames = [(pair.a, pair.b)]
            self.executor.submit(frames, [Chroma.B], OutputRange(RangePolicy.image)).result()


@contextmanager
def opened(
    contender: Contender | None, task: Task, weights: Path | None, threads: int
) -> Iterator[FrameRunner]:
    """Open a contender that is one of our backends, or what has no network.

    Raises:
        RefusionError: It cannot run here.
    """
    if contender is None:
        clock = StageClock()
        executor = CpuExecutor(PassThrough(), clock)
        try:
            yield FrameRunner(WITHOUT_NETWORK, executor.description, clock, executor)
        finally:
            executor.close()
        return
    with Fuser(
        task,
        model=contender.model,
        weights=weights,
        backend=contender.runner,
        device="cuda" if contender.runner == "tensorrt" else "cpu",
        threads=threads,
    ) as fuser:
        yield FrameRunner(contender.title, fuser.description, fuser.clock, fuser)
