"""What runs on the fake GPU: a fake of TensorRT's runtime objects, and stand-ins for refusion._C's CUDA part.

The network is the shipped model in ONNX Runtime, and the operations are `refusion.ops`: so results must be
those of the CPU. Kept of the real ones: they only enqueue; the execution context has one shape at a time and
voids what was captured when that changes; the first run of a shape, and of a kernel, cannot be captured.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from refusion import ops
from refusion.backends.onnxruntime import OnnxRuntimeBackend
from refusion.backends.tensorrt.library import Flavour, Library
from refusion.backends.tensorrt.loading import LoadedEngine
from refusion.backends.tensorrt.shapes import ShapeProfile
from refusion.ranges import OutputRange, RangePolicy
from refusion.tasks import Chroma
from refusion.warp import Warp, lattice_shape

from .fake_cuda import FakeGpu, LaunchError


class FakeContext:
    """IExecutionContext."""

    def __init__(self, engine: FakeEngine) -> None:
        self.engine = engine
        self.shape: tuple[int, ...] = ()
        self.addresses: dict[str, int] = {}
        self.changes = 0
        self.ran = -1

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        assert name == "sources"
        self.changes += 1
        self.shape = shape
        batch, _, height, width = shape
        return self.engine.profile.contains(batch, height, width)

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.changes += 1
        self.addresses[name] = address
        return address % 256 == 0

    def execute_async_v3(self, handle: int) -> bool:
        gpu, changes = self.engine.gpu, self.changes
        with gpu.lock:
            gpu.enter()
            stream = gpu.streams[handle]
            if stream.captured is not None and (self.ran != changes or self.engine.refuses_capture):
                return False
            self.ran = changes
            gpu.log.append("network")

            def run() -> None:
                if self.changes != changes:
                    raise LaunchError("the execution context was changed under captured or enqueued work")
                batch, _, height, width = self.shape
                sources = gpu.array_at(self.addresses["sources"], self.shape, np.float32)
                fused = gpu.array_at(self.addresses["fused"], (batch, 1, height, width), np.float32)
                fused[:] = self.engine.network.run(sources)

            stream.put(run)
            return True


@dataclass
class FakeEngine:
    """ICudaEngine."""

    gpu: FakeGpu
    network: OnnxRuntimeBackend
    profile: ShapeProfile
    tensors: tuple[str, ...] = ("sources", "fused")
    refuses_capture: bool = False
    has_memory: bool = True

    @property
    def num_io_tensors(self) -> int:
        return len(self.tensors)

    def get_tensor_name(self, index: int) -> str:
        return self.tensors[index]

    def get_tensor_dtype(self, name: str) -> Any:
        return SimpleNamespace(name="FLOAT")

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (-1, 2 if name == "sources" else 1, -1, -1)

    def create_execution_context(self) -> FakeContext | None:
        return FakeContext(self) if self.has_memory else None


class FakeLogger:
    """ILogger."""


def loaded_engine(engine: FakeEngine) -> LoadedEngine:
    """Return the engine as load_engine would."""
    module = SimpleNamespace(__version__="10.3.0", ILogger=FakeLogger)
    library = Library.of(Flavour.tensorrt, module)
    return LoadedEngine(Path("fake.plan"), None, library, object(), engine, engine.profile, ())


@dataclass(frozen=True)
class CudaImage:
    """refusion._C.CudaImage."""

    pointer: int
    height: int
    width: int
    channels: int

    def array(self, gpu: FakeGpu) -> np.ndarray:
        shape = (self.height, self.width) if self.channels == 1 else (self.height, self.width, 3)
        return gpu.array_at(self.pointer, shape, np.uint8)


@dataclass(frozen=True)
class CudaWarp:
    """refusion._C.CudaWarp."""

    nodes: int
    box: tuple[float, float, float, float]

    def on(self, gpu: FakeGpu, a: CudaImage, height: int, width: int) -> Warp:
        """Return the warp whose nodes are in the device's memory now."""
        nodes = gpu.array_at(self.nodes, (*lattice_shape((width, height)), 2), np.float32)
        warp = Warp(nodes.copy(), (width, height), (a.width, a.height))
        assert warp.fade_box == self.box
        return warp


class CudaRange(enum.Enum):
    """refusion._C.CudaRange."""

    image = enum.auto()
    tracked = enum.auto()


@dataclass(frozen=True)
class CudaGraph:
    """refusion._C.CudaGraph."""

    gpu: FakeGpu
    work: tuple[Callable[[], None], ...]

    def launch(self, stream: int) -> None:
        with self.gpu.lock:
            self.gpu.enter()
            self.gpu.log.append("graph")
            for work in self.work:
                self.gpu.streams[stream].put(work)


class CudaOperations:
    """The CUDA functions of refusion._C."""

    def __init__(self, gpu: FakeGpu) -> None:
        self._gpu = gpu
        self._ranges: dict[int, tuple[OutputRange, tuple[int, int]]] = {}
        self.CudaImage = CudaImage
        self.CudaRange = CudaRange
        self.CudaWarp = CudaWarp

    def cuda_devices(self) -> tuple[list[Any], str]:
        facts = {"name": "Fake GPU", "major": 8, "minor": 9, "memory_bytes": 8 << 30, "integrated": False}
        return [SimpleNamespace(**facts)], ""

    def _enqueue(self, stream: int, kernel: object, work: Callable[[], None]) -> None:
        with self._gpu.lock:
            self._gpu.enter()
            queue = self._gpu.streams[stream]
            if queue.captured is None:
                self._gpu.loaded_kernels.add(kernel)
            elif kernel not in self._gpu.loaded_kernels:
                raise RuntimeError(f"{kernel} cannot be loaded during a capture")
            queue.put(work)

    def cuda_preprocess(
        self,
        a: CudaImage,
        b: CudaImage,
        out: int,
        height: int,
        width: int,
        *,
        half: bool,
        stream: int,
        warp: CudaWarp | None,
    ) -> None:
        assert not half

        def run() -> None:
            planes = self._gpu.array_at(out, (2, height, width), np.float32)
            through = None if warp is None else warp.on(self._gpu, a, height, width)
            ops.preprocess(a.array(self._gpu), b.array(self._gpu), warp=through, out=planes)

        self._enqueue(stream, ("preprocess", a.channels, b.channels, warp is None), run)

    def cuda_range_state_bytes(self, height: int, width: int) -> int:
        return 12 + 4 * -(-height // 8) * -(-width // 8)

    def cuda_reset_range(self, state: int, height: int, width: int, *, stream: int) -> None:
        def run() -> None:
            self._gpu.bytes_at(state, self.cuda_range_state_bytes(height, width))[:] = 0
            self._ranges[state] = OutputRange(RangePolicy.tracked), (height, width)

        self._enqueue(stream, "reset", run)

    def cuda_update_range(
        self, fused: int, height: int, width: int, state: int, policy: CudaRange, *, half: bool, stream: int
    ) -> None:
        assert not half

        def run() -> None:
            plane = self._gpu.array_at(fused, (height, width), np.float32)
            follower, size = self._ranges[state]
            assert size == (height, width), "the state was reset for frames of another size"
            follower.policy = RangePolicy[policy.name]
            self._gpu.array_at(state, (3,), np.float32)[:] = (*follower.of(plane), follower.shoulder)

        self._enqueue(stream, ("range", policy), run)

    def cuda_postprocess(
        self,
        fused: int,
        a: CudaImage,
        b: CudaImage,
        chroma: Any,
        state: int,
        out: CudaImage,
        *,
        half: bool,
        stream: int,
    ) -> None:
        assert not half

        def run() -> None:
            low, high, shoulder = self._gpu.array_at(state, (3,), np.float32) if state else (0, 1, 0)
            ops.postprocess(
                self._gpu.array_at(fused, (out.height, out.width), np.float32),
                a.array(self._gpu),
                b.array(self._gpu),
                chroma=Chroma[chroma.name],
                value_range=(low, high),
                shoulder=float(shoulder),
                out=out.array(self._gpu),
            )

        self._enqueue(stream, ("postprocess", a.channels, b.channels, chroma), run)

    def cuda_begin_capture(self, stream: int) -> None:
        with self._gpu.lock:
            self._gpu.enter()
            self._gpu.streams[stream].captured = []

    def cuda_end_capture(self, stream: int) -> CudaGraph:
        with self._gpu.lock:
            self._gpu.enter()
            queue = self._gpu.streams[stream]
            captured, queue.captured = queue.captured, None
            assert captured is not None
            return CudaGraph(self._gpu, tuple(captured))
