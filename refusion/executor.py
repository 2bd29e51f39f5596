"""Executors: pre-processing, network and post-processing of a batch on one device."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from refusion import ops
from refusion.backends import Backend
from refusion.errors import BackendError
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
        """Free the device's resources, once what runs on it is finished. Harmless when called twice."""


class _OnCpu:
    """Pairs on their way through the threads of a CpuExecutor."""

    def __init__(self, frames: Future[list[Frame]]) -> None:
        self._frames = frames

    def result(self) -> list[Frame]:
        try:
            return self._frames.result()
        except CancelledError:
            raise BackendError("these frames were given up when what fuses them was closed") from None


class CpuExecutor:
    """Pre- and post-processing on the CPU around any backend, the three stages overlapped.

    The caller's thread does the pre-processing of a submission while the network runs on the one before, in a
    thread of its own, and the one before that is post-processed in another: with three in flight the slowest
    stage sets the rate: what is shorter than the network costs no time, as long as a core is free for it.
    """

    def __init__(self, backend: Backend, clock: StageClock, *, runs_at_once: int = 1) -> None:
        """Start nothing yet.

        Args:
            backend: What runs the network.
            clock: Takes the times of the stages.
            runs_at_once: Runs of the network that overlap: more than one where it runs elsewhere.
        """
        self.backend = backend
        self.clock = clock
        self.frames_in_flight = 2 + runs_at_once
        # Threads start with the first submission, and end with the executor if nobody closes it.
        self._network = ThreadPoolExecutor(runs_at_once, "refusion network")
        self._post = ThreadPoolExecutor(1, "refusion post")
        self._order = threading.Lock()

    @property
    def description(self) -> str:
        return f"{self.backend.description}; pre- and post-processing: {ops.implementation()}"

    def luma(self, pairs: FramePairs, warp: Warp | None = None) -> NDArray[np.float32]:
        return self._run(self._prepared(pairs, warp))

    def submit(
        self, pairs: FramePairs, chroma: Sequence[Chroma], follower: OutputRange, warp: Warp | None = None
    ) -> Pending:
        sources = self._prepared(pairs, warp)
        colours = [_colour_sources(a, b, policy) for (a, b), policy in zip(pairs, chroma, strict=True)]
        with self._order:
            try:
                fused = self._network.submit(self._run, sources)
                return _OnCpu(self._post.submit(self._finish, fused, colours, chroma, follower))
            except RuntimeError:  # the threads have ended
                raise BackendError("what fuses these frames is closed; open another Fuser") from None

    def close(self) -> None:
        """What is being computed is finished first; submissions that wait are given up."""
        self._network.shutdown(wait=False, cancel_futures=True)
        self._post.shutdown(cancel_futures=True)
        self._network.shutdown()
        self.backend.close()

    def _prepared(self, pairs: FramePairs, warp: Warp | None) -> NDArray[np.float32]:
        height, width = pairs[0][1].shape[:2]
        with self.clock.stage("pre"):
            sources = np.empty((len(pairs), 2, height, width), np.float32)
            for slot, (a, b) in zip(sources, pairs, strict=True):
                ops.preprocess(a, b, warp=warp, out=slot)
        return sources

    def _run(self, sources: NDArray[np.float32]) -> NDArray[np.float32]:
        with self.clock.stage("network"):
            return self.backend.run(sources)[:, 0]

    def _finish(
        self,
        fused: Future[NDArray[np.float32]],
        colours: Sequence[tuple[Frame, Frame]],
        chroma: Sequence[Chroma],
        follower: OutputRange,
    ) -> list[Frame]:
        planes = fused.result()
        with self.clock.stage("post"):
            return [
                ops.postprocess(
                    plane,
                    a,
                    b,
                    chroma=policy,
                    value_range=follower.of(plane),
                    shoulder=follower.shoulder,
                    out=None if policy is Chroma.NONE or b.ndim == 2 else b,
                )
                for plane, (a, b), policy in zip(planes, colours, chroma, strict=True)
            ]


def _colour_sources(a: Frame, b: Frame, chroma: Chroma) -> tuple[Frame, Frame]:
    """Return frames of our own with the colour of a result; where b is (H, W, 3), it may be written to.

    A source that gives no colour is not looked at: the other one stands in for it, of the picture's size even
    where the source is to be warped.
    """
    if chroma is Chroma.BOTH:
        return a.copy(), b.copy()
    if chroma is Chroma.NONE:
        return b, b
    own = a.copy() if chroma is Chroma.A else b.copy()
    return own, own
