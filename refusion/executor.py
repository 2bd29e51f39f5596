"""Executors: pre-processing, network and post-processing of a batch on one device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from refusion import ops
from refusion.backends import Backend
from refusion.frames import Frame
from refusion.ranges import OutputRange
from refusion.tasks import Chroma
from refusion.timing import StageClock
from refusion.warp import Warp

FramePairs = Sequence[tuple[Frame, Frame]]
"""Checked pairs of one size; what goes through a warp with them has a size of its own for source a."""


class Pending(Protocol):
    """Pairs that were handed to an executor."""

    def result(self) -> list[Frame]:
        """Wait for the fused frames and return them. May be called from any thread, and again.

        Raises:
            BackendError: The device failed, for instance for lack of memory.
        """


class Executor(Protocol):
    """Owns one device and fuses on it. May be shared by threads."""

    @property
    def description(self) -> str:
        """What runs where, for people."""

    @property
    def frames_in_flight(self) -> int:
        """How many submissions keep the device busy; more wait for the first of them."""

    def submit(
        self, pairs: FramePairs, chroma: Sequence[Chroma], follower: OutputRange, warp: Warp | None = None
    ) -> Pending:
        """Begin to fuse checked pairs of one size.

        Args:
            pairs: The pairs; the arrays may be changed as soon as this returns.
            chroma: Where the colour of each pair comes from; with a warp, NONE or B.
            follower: Sees each fused luma in order of submission, and gives its output range.
            warp: Maps the pixels of all b to places in their a; None: they are registered.

        Raises:
            BackendError: The device cannot take them: the size, its memory, or a failure.
        """

    def luma(self, pairs: FramePairs, warp: Warp | None = None) -> NDArray[np.float32]:
        """Return the network's output for checked pairs of one size, float32 (N, H, W) in (0, 1)."""

    def close(self) -> None:
        """Free the device's resources; what is in flight is finished first. Harmless when called twice."""


class Finished:
    """A submission whose frames are there already."""

    def __init__(self, frames: list[Frame]) -> None:
        self._frames = frames

    def result(self) -> list[Frame]:
        return self._frames


class CpuExecutor:
    """Pre- and post-processing on the CPU around any backend. Nothing is in flight: submitting fuses."""

    frames_in_flight = 1

    def __init__(self, backend: Backend, clock: StageClock) -> None:
        self.backend = backend
        self.clock = clock

    @property
    def description(self) -> str:
        return f"{self.backend.description}; pre- and post-processing: {ops.implementation()}"

    def luma(self, pairs: FramePairs, warp: Warp | None = None) -> NDArray[np.float32]:
        height, width = pairs[0][1].shape[:2]
        with self.clock.stage("pre"):
            sources = np.empty((len(pairs), 2, height, width), np.float32)
            for slot, (a, b) in zip(sources, pairs, strict=True):
                ops.preprocess(a, b, warp=warp, out=slot)
        with self.clock.stage("network"):
            return self.backend.run(sources)[:, 0]

    def submit(
        self, pairs: FramePairs, chroma: Sequence[Chroma], follower: OutputRange, warp: Warp | None = None
    ) -> Finished:
        fused = self.luma(pairs, warp)
        with self.clock.stage("post"):
            return Finished(
                [
                    # A warped source gives no colour, and has not the size of the picture.
                    ops.postprocess(
                        plane,
                        a if warp is None else b,
                        b,
                        chroma=policy,
                        value_range=follower.of(plane),
                        shoulder=follower.shoulder,
                    )
                    for plane, (a, b), policy in zip(fused, pairs, chroma, strict=True)
                ]
            )

    def close(self) -> None:
        self.backend.close()
