"""Fuser: a pair of registered frames in, one fused frame out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusion import ops
from refusion.backends import create_backend
from refusion.errors import InputError, UsageError
from refusion.executor import CpuExecutor
from refusion.frames import Frame, checked_pair, size_text
from refusion.ranges import OutputRange, RangePolicy
from refusion.tasks import Chroma, Task
from refusion.timing import StageClock
from refusion.weights import shipped_weights

MODELS = ("full",)


class Fuser:
    """Fuses pairs of frames with one set of weights.

    Calls from several threads at once are safe, and use the machine no better than one after the other:
    the network takes all cores for each.

    Example:
        >>> import numpy as np, refusion
        >>> fuser = refusion.Fuser(task="ivif")
        >>> infrared = np.zeros((48, 64), np.uint8)
        >>> visible = np.full((48, 64, 3), 90, np.uint8)
        >>> fuser(infrared, visible).shape
        (48, 64)
    """

    def __init__(
        self,
        task: str | Task = "ivif",
        *,
        model: str = "full",
        weights: str | Path | None = None,
        backend: str = "auto",
        output_range: str | RangePolicy = "image",
        threads: int = 0,
    ) -> None:
        """Load the weights.

        Args:
            task: What is fused: ivif, mif, mfif or meif.
            model: Which network: full.
            weights: A file to use instead of the shipped weights: `.onnx` or `.safetensors` of ours, or an
                official ReFusion `.pth`.
            backend: onnxruntime, torch, or auto: the fastest that can read the weights.
            output_range: Range policy of single calls: "image" stretches each result to its own minimum and
                maximum, as the official script does; "off" leaves the network's values.
            threads: CPU threads of the network; 0 takes all cores.

        Raises:
            UsageError: An unknown task, model, backend or range policy.
            InputError: There is no such weights file.
            WeightsError: The weights are damaged, missing, or not ours.
            BackendError: The backend is not installed.
        """
        self.task = Task.parse(task)
        if model not in MODELS:
            raise UsageError(f"there is no model '{model}'; choose one of {', '.join(MODELS)}")
        self.output_range = RangePolicy.parse(output_range)
        if self.output_range is RangePolicy.tracked:
            raise UsageError("a tracked range belongs to a stream: use Fuser.stream(), or image or off here")
        self.clock = StageClock()
        path = Path(weights) if weights is not None else self._shipped(backend)
        self.weights = path
        self._executor = CpuExecutor(create_backend(backend, path, threads=threads), self.clock)

    def _shipped(self, backend: str) -> Path:
        files = shipped_weights(self.task)
        return files.safetensors if backend == "torch" else files.onnx

    @property
    def description(self) -> str:
        """What runs where, for people."""
        return f"{self._executor.backend.description}; pre- and post-processing: {ops.implementation()}"

    def __call__(self, a: Any, b: Any) -> Frame:
        """Fuse one pair.

        Args:
            a: Source a of the task (for ivif the infrared frame): uint8, (H, W) gray or (H, W, 3) BGR, from
                1x1 up; any strides.
            b: Source b, of the same size.

        Returns:
            uint8, (H, W, 3) BGR where a source has colour, else (H, W).

        Raises:
            InputError: A source is no such array, or the sizes differ.
            BackendError: The network could not run, for instance for lack of memory.
        """
        return self.batch([(a, b)])[0]

    def batch(self, pairs: Sequence[tuple[Any, Any]]) -> list[Frame]:
        """Fuse several pairs of one size in a single run of the network; see __call__."""
        return self._fuse(pairs, OutputRange(self.output_range), None)

    def luma(self, a: Any, b: Any) -> NDArray[np.float32]:
        """Return the network's output for one pair as it is, float32 (H, W) in (0, 1)."""
        return self._executor.luma([checked_pair(a, b)])[0]

    def stream(
        self, *, chroma: Chroma | None = None, output_range: str | RangePolicy = "tracked"
    ) -> Callable[[Any, Any], Frame]:
        """Return a function that fuses the frames of one stream, in order, with a steady range and colour.

        Args:
            chroma: Where colour comes from, for the whole stream; None decides on the first pair.
            output_range: Range policy; "tracked" follows the stream's range without pumping.
        """
        follower = OutputRange(RangePolicy.parse(output_range))
        decided = chroma

        def fuse(a: Any, b: Any) -> Frame:
            nonlocal decided
            if decided is None:
                decided = _chroma_of(*checked_pair(a, b))
            return self._fuse([(a, b)], follower, decided)[0]

        return fuse

    def _fuse(
        self, pairs: Sequence[tuple[Any, Any]], follower: OutputRange, chroma: Chroma | None
    ) -> list[Frame]:
        if not pairs:
            return []
        checked = [checked_pair(a, b) for a, b in pairs]
        first = checked[0][0]
        for a, _ in checked:
            if a.shape[:2] != first.shape[:2]:
                raise InputError(
                    f"the pairs of a batch must have one size: found {size_text(first)} and {size_text(a)}"
                )
        policies = [chroma or _chroma_of(a, b) for a, b in checked]
        return self._executor.fuse(checked, policies, follower.of)

    def close(self) -> None:
        """Free the network; harmless when called twice."""
        self._executor.close()

    def __enter__(self) -> Fuser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _chroma_of(a: Frame, b: Frame) -> Chroma:
    return Chroma.of(a_is_gray=ops.is_gray(a), b_is_gray=ops.is_gray(b))
