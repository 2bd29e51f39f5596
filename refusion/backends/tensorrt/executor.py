"""The executor of GPUs: raw frames up, finished frames down, everything between on the device."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from refusion.backends.tensorrt.device import cuda_device
from refusion.backends.tensorrt.network import BatchShape
from refusion.backends.tensorrt.pipeline import SLOTS, Pipeline
from refusion.errors import BackendError
from refusion.executor import FramePairs, Pending
from refusion.frames import Frame
from refusion.ranges import OutputRange
from refusion.tasks import Chroma
from refusion.timing import StageClock
from refusion.warp import Warp

if TYPE_CHECKING:
    from refusion.backends.tensorrt.loading import LoadedEngine


class TensorRTExecutor:
    """Fuses on the first GPU that CUDA sees, with `refusion._C` around a TensorRT engine.

    Threads may share it: they submit one after the other, and wait for their results side by side.
    """

    frames_in_flight = SLOTS

    def __init__(self, loaded: LoadedEngine, clock: StageClock) -> None:
        """Create the execution context and the streams; memory for frames comes with the first of a size.

        Raises:
            BackendError: There is no GPU, the engine is not one of ours, or memory is short.
        """
        self._clock = clock
        self._device = cuda_device()
        self._lock = threading.Lock()
        with self._device.active("preparing the engine"):
            self._pipeline = Pipeline(self._device, loaded, clock)
        self._engine_text = f"{loaded.library.description}, {self._device.name}, {loaded.path.name}"
        self._close = self._device.closing(self, self._pipeline.close)

    @property
    def description(self) -> str:
        problem = self._pipeline.graph_problem
        without_graphs = f", without CUDA graphs ({problem})" if problem else ""
        return f"{self._engine_text}; pre- and post-processing: CUDA{without_graphs}"

    def submit(
        self, pairs: FramePairs, chroma: Sequence[Chroma], follower: OutputRange, warp: Warp | None = None
    ) -> Pending:
        with self._clock.stage("submit"), self._lock:
            parts = [
                self._submit(pairs[part], chroma[part], follower, warp) for part in self._parts(len(pairs))
            ]
        return _Waited(parts, self._clock)

    def _submit(
        self, pairs: FramePairs, chroma: Sequence[Chroma], follower: OutputRange, warp: Warp | None
    ) -> Pending:
        with self._device.active(_doing(pairs)):
            return self._pipeline.submit(pairs, chroma, follower, warp, self)

    def luma(self, pairs: FramePairs, warp: Warp | None = None) -> NDArray[np.float32]:
        fused = []
        with self._lock:
            for part in self._parts(len(pairs)):
                with self._device.active(_doing(pairs)):
                    fused.append(self._pipeline.luma(pairs[part], warp))
        return np.concatenate(fused)

    def _parts(self, count: int) -> list[slice]:
        """Return the runs that take so many pairs: an engine is built for a largest batch."""
        if self._pipeline.is_closed:
            raise BackendError("the engine is closed")
        step = self._pipeline.network.largest_batch
        return [slice(first, first + step) for first in range(0, count, step)]

    def close(self) -> None:
        with self._lock:
            self._close()


class _Waited:
    """The frames of all parts of a submission."""

    def __init__(self, parts: Sequence[Pending], clock: StageClock) -> None:
        self._parts = parts
        self._clock = clock

    def result(self) -> list[Frame]:
        with self._clock.stage("wait"):
            return [frame for part in self._parts for frame in part.result()]


def _doing(pairs: FramePairs) -> str:
    height, width = pairs[0][1].shape[:2]
    return f"fusing {BatchShape(len(pairs), height, width).text}"
