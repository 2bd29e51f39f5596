"""Executors: pre-processing, network and post-processing of a batch on one device."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from refusion import ops
from refusion.backends import Backend
from refusion.frames import Frame
from refusion.ranges import Range
from refusion.tasks import Chroma
from refusion.timing import StageClock

RangeOf = Callable[[NDArray[np.float32]], Range | None]


class CpuExecutor:
    """Runs everything on the CPU. Holds no state between calls, so threads may share it."""

    def __init__(self, backend: Backend, clock: StageClock) -> None:
        self.backend = backend
        self.clock = clock

    def luma(self, pairs: Sequence[tuple[Frame, Frame]]) -> NDArray[np.float32]:
        """Return the network's output for checked pairs of one size, float32 (N, H, W) in (0, 1)."""
        height, width = pairs[0][0].shape[:2]
        with self.clock.stage("pre"):
            sources = np.empty((len(pairs), 2, height, width), np.float32)
            for slot, (a, b) in zip(sources, pairs, strict=True):
                ops.preprocess(a, b, out=slot)
        with self.clock.stage("network"):
            return self.backend.run(sources)[:, 0]

    def fuse(
        self, pairs: Sequence[tuple[Frame, Frame]], chroma: Sequence[Chroma], range_of: RangeOf
    ) -> list[Frame]:
        """Return the fused frames of checked pairs of one size; range_of sees each fused luma, in order."""
        fused = self.luma(pairs)
        with self.clock.stage("post"):
            return [
                ops.postprocess(plane, a, b, chroma=policy, value_range=range_of(plane))
                for plane, (a, b), policy in zip(fused, pairs, chroma, strict=True)
            ]

    def close(self) -> None:
        """Free the backend."""
        self.backend.close()
