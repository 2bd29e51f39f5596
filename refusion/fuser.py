"""Fuser: a pair of registered frames in, one fused frame out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusion.errors import InputError, UsageError
from refusion.frames import Frame, checked_pair, size_text
from refusion.fused_stream import FusedStream, chroma_of
from refusion.models import Model
from refusion.placement import Device, Placement, engine_folders_of
from refusion.ranges import OutputRange, RangePolicy
from refusion.tasks import Chroma, Task
from refusion.timing import StageClock
from refusion.warp import Warp


class Fuser:
    """Fuses pairs of frames with one set of weights.

    Calls from several threads at once are safe, and use the machine no better than one after the other: the
    network takes all cores, or the whole GPU, for each. What overlaps work is `stream().frames()`.

    Examples:
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
        model: str | Model | None = None,
        weights: str | Path | None = None,
        backend: str = "auto",
        device: str | Device = "auto",
        engines: str | Path | Sequence[str | Path] | None = None,
        trust: bool = False,
        url: str | None = None,
        output_range: str | RangePolicy = "image",
        threads: int = 0,
    ) -> None:
        """Load the weights.

        Args:
            task: What is fused: ivif, mif, mfif or meif.
            model: Which of the networks: full, or lite, which is made for real time on a CPU and comes close
                to it. None: full, or whatever the file of weights holds.
            weights: A file to use instead of the shipped weights: `.onnx` or `.safetensors` of ours, an
                official ReFusion `.pth`, or a TensorRT engine of ours, `.plan`.
            backend: native, native-bf16 (see NativeBackend), tensorrt, onnxruntime, torch, triton (see url),
                or auto. auto takes a TensorRT engine that was built from these weights for this GPU, for each
                size of frames that one fits; other sizes run on the fastest backend that can read the weights
                (native where there is no GPU), and a warning in the log says so. tensorrt refuses a size that
                no engine fits.
            device: cpu; cuda: on the first GPU or not at all; or auto: on the GPU if one can be used.
            engines: Folder, or folders, of TensorRT engines; default: `$REFUSION_ENGINES`, else ./engines.
            trust: Also load engines that another user or machine built. They are machine code.
            url: For triton, the server: `HOST:PORT`; also names the model of several, and how the server is
                asked: `HOST:PORT[/MODEL][?deadline_s=S&retry_s=S&shared_memory=auto|on|off]`.
            output_range: Range policy of single calls: "image" stretches each result to its own minimum and
                maximum, as the official script does; "off" leaves the network's values.
            threads: CPU threads of the network; 0 takes all cores.

        Raises:
            UsageError: An unknown task, model, backend, device or range policy, or some that do not fit.
            InputError: There is no such weights file.
            WeightsError: The weights are damaged, missing, or not ours.
            BackendError: The backend is not installed, the device or server is not there, or no engine fits.
        """
        self.task = Task.parse(task)
        self.output_range = RangePolicy.parse(output_range)
        if self.output_range is RangePolicy.tracked:
            raise UsageError("a tracked range belongs to a stream: use Fuser.stream(), or image or off here")
        self.clock = StageClock()
        placement = Placement(
            task=self.task,
            model=Model.parse(model) if model is not None else None,
            weights=Path(weights) if weights is not None else None,
            backend=backend,
            device=Device.parse(device),
            engines=engine_folders_of(engines),
            trust=trust,
            threads=threads,
            url=url,
        )
        self._weights, self._executor = placement.open(self.clock)

    @property
    def description(self) -> str:
        """What runs where, for people."""
        return self._executor.description

    @property
    def weights(self) -> Path:
        """The file of weights that is used.

        Raises:
            UsageError: There is none here: a server has it.
        """
        if self._weights is None:
            raise UsageError(
                f"the weights are the server's ({self.description}); there is no file of them here"
            )
        return self._weights

    @property
    def frames_in_flight(self) -> int:
        """How many pairs of a stream keep the device busy: two on a GPU, three on a CPU, four on a server."""
        return self._executor.frames_in_flight

    def __call__(self, a: Any, b: Any, *, warp: Warp | None = None) -> Frame:
        """Fuse one pair.

        Args:
            a: Source a of the task (for ivif the infrared frame): uint8, (H, W) gray or (H, W, 3) BGR, from
                1x1 up; any strides.
            b: Source b, of the same size; with a warp, each is of the size that the warp says.
            warp: Maps the pixels of b, whose geometry the result has, to places in a. Outside of a's field of
                view the result shows b, and colour is b's alone. None: the two are registered.

        Returns:
            uint8, (H, W, 3) BGR where a source has colour, else (H, W).

        Raises:
            InputError: A source is no such array, a size does not fit, or no engine was built for it.
            BackendError: The network could not run, for instance for lack of memory.
        """
        return self.batch([(a, b)], warp=warp)[0]

    def batch(self, pairs: Sequence[tuple[Any, Any]], *, warp: Warp | None = None) -> list[Frame]:
        """Fuse several pairs of one size in a single run of the network; see __call__."""
        if not pairs:
            return []
        checked = [checked_pair(a, b, warp) for a, b in pairs]
        first = checked[0][0]
        for a, _ in checked:
            if a.shape[:2] != first.shape[:2]:
                raise InputError(
                    f"the pairs of a batch must have one size: found {size_text(first)} and {size_text(a)}"
                )
        chroma = [chroma_of(a, b, warp) for a, b in checked]
        return self._executor.submit(checked, chroma, OutputRange(self.output_range), warp).result()

    def luma(self, a: Any, b: Any, *, warp: Warp | None = None) -> NDArray[np.float32]:
        """Return the network's output for one pair as it is, float32 (H, W) in [0, 1]; see __call__."""
        return self._executor.luma([checked_pair(a, b, warp)], warp)[0]

    def stream(
        self, *, chroma: Chroma | None = None, output_range: str | RangePolicy = "tracked"
    ) -> FusedStream:
        """Return what fuses the frames of one stream, in order, with a steady range and colour.

        Call it with each pair, or give `.frames()` all of them, which overlaps the work on them.

        Args:
            chroma: Where colour comes from, for the whole stream; None decides on the first pair.
            output_range: Range policy; "tracked" follows the stream's range without pumping.
        """
        return FusedStream(self._executor, OutputRange(RangePolicy.parse(output_range)), chroma)

    def close(self) -> None:
        """Finish what is in flight and free the network; harmless when called twice."""
        self._executor.close()

    def __enter__(self) -> Fuser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
