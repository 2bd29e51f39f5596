"""Placement: which device fuses, and with what."""

from __future__ import annotations

import enum
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from refusion.backends import create_backend, fastest_for_shipped_weights
from refusion.choices import chosen
from refusion.errors import BackendError, UsageError
from refusion.executor import CpuExecutor, Executor
from refusion.models import Model
from refusion.tasks import Task
from refusion.timing import StageClock
from refusion.weights import ShippedWeights, sha256, shipped_weights
from refusion.weights_file import refuse_other_model, stated, stated_model

if TYPE_CHECKING:
    from refusion.backends.tensorrt.shelf import Shelf

# Not taken from the tensorrt package, which `import refusion` does without.
PLAN_SUFFIX = ".plan"
CHECKPOINT_KEY = "refusion.checkpoint_sha256"
"""Metadata key of the ONNX models that our exporter writes: the checkpoint that a model was made from."""


class Device(enum.Enum):
    """Where fusion may run."""

    auto = "auto"
    """On the GPU where one can be used, else on the CPU."""
    cpu = "cpu"
    cuda = "cuda"
    """On the GPU, or not at all."""

    @classmethod
    def parse(cls, name: str | Device) -> Device:
        """Return the device of that name.

        Raises:
            UsageError: There is no such device.
        """
        return chosen(cls, name, called="device")


@dataclass(frozen=True)
class Placement:
    """What was asked for; see Fuser."""

    task: Task
    model: Model | None
    """None: full, or what the file of weights holds."""
    weights: Path | None
    backend: str
    device: Device
    engines: tuple[Path, ...] | None
    trust: bool
    threads: int
    url: str | None = None
    """Of a Triton server."""

    def open(self, clock: StageClock) -> tuple[Path | None, Executor]:
        """Return the file of weights that is used (None: a server has it), and what runs it.

        Raises:
            RefusionError: As Fuser says.
        """
        if self.backend == "triton" or self.url is not None:
            return None, self._open_triton(clock)
        if self.weights is not None and self.model is not None:
            refuse_other_model(self.weights, self.model)
        if self.weights is not None and self.weights.suffix == PLAN_SUFFIX:
            return self.weights, self._open_named_plan(self.weights, clock)
        if self.backend == "tensorrt":
            return self._open_tensorrt(clock)
        path = self.weights or self._shipped_file()
        shelf = self._shelf(path) if self.backend == "auto" and _may_use_engines(self) else None
        if shelf is None or not shelf.holds_any:
            return path, self._open_backend(path, clock)
        return path, self._by_size(shelf, self._open_fallback(path, clock), clock)

    def _open_named_plan(self, plan: Path, clock: StageClock) -> Executor:
        if self.backend not in ("auto", "tensorrt"):
            raise UsageError(f"{plan.name} is a TensorRT engine; the {self.backend} backend cannot run it")
        self._refuse_cpu()
        return self._open_engine(plan, clock, rebuild=True)

    def _open_triton(self, clock: StageClock) -> Executor:
        from refusion.backends.triton.address import TritonAddress

        if self.backend != "triton":
            raise UsageError(f"{self.url} is the address of a server: it goes with the backend triton")
        if self.url is None:
            raise UsageError("the triton backend needs the address of a server: url (--triton-url) HOST:PORT")
        if self.weights is not None:
            raise UsageError(
                f"the triton backend runs what its server has: leave out the weights ({self.weights.name})"
            )
        if self.device is not Device.auto:
            raise UsageError("the server chooses the device of the triton backend: leave the device at auto")
        address = TritonAddress.parse(self.url)
        from refusion.backends.triton.backend import TritonBackend

        # Two requests: while one travels, the server has another, or both in one batch.
        return CpuExecutor(TritonBackend(address, self.task, model=self.model), clock, runs_at_once=2)

    def _open_tensorrt(self, clock: StageClock) -> tuple[Path, Executor]:
        from refusion.backends.tensorrt.device import cuda_device
        from refusion.backends.tensorrt.library import Flavour, available_flavours, installation_advice

        self._refuse_cpu()
        if not available_flavours():
            raise BackendError(f"TensorRT is not installed: {installation_advice(Flavour.tensorrt)}")
        # The GPU first: without one, no engine is of use.
        cuda_device()
        path = self.weights or self._shipped_file()
        shelf = self._shelf(path)
        if shelf is None:
            raise BackendError(
                "the tensorrt backend needs an NVIDIA GPU, and none was found; see `refusion doctor`"
            )
        if not shelf.holds_any:
            raise BackendError(shelf.explain(None))
        return path, self._by_size(shelf, None, clock)

    def _refuse_cpu(self) -> None:
        if self.device is Device.cpu:
            raise UsageError("TensorRT runs on GPUs only: choose the device cuda or auto, or another backend")

    def _shipped(self) -> ShippedWeights:
        return shipped_weights(self.task, self.model or Model.full)

    def _shipped_file(self) -> Path:
        name = fastest_for_shipped_weights(self.device.value) if self.backend == "auto" else self.backend
        files = self._shipped()
        return files.onnx if name == "onnxruntime" else files.safetensors

    def _open_backend(self, path: Path, clock: StageClock) -> CpuExecutor:
        backend = create_backend(self.backend, path, threads=self.threads, device=self.device.value)
        return CpuExecutor(backend, clock)

    def _open_fallback(self, path: Path, clock: StageClock) -> Executor | None:
        try:
            return self._open_backend(path, clock)
        except BackendError:
            # What is not installed, or has no GPU, is missed only if a size comes that no engine fits.
            return None

    def _shelf(self, path: Path) -> Shelf | None:
        """Return the engines of these weights; None where there is no GPU to run them."""
        from refusion.backends.tensorrt.search import engine_folders
        from refusion.backends.tensorrt.shelf import Shelf
        from refusion.gpus import find_gpus

        gpus = find_gpus().gpus
        if not gpus:
            return None
        folders = engine_folders() if self.engines is None else self.engines
        model = self.model or (self.weights and stated_model(self.weights)) or Model.full
        return Shelf(self.task, model, self._checkpoints(path), folders, gpus[0], self.trust)

    def _checkpoints(self, path: Path) -> tuple[str, ...]:
        if self.weights is None:
            return (self._shipped().manifest["files"]["safetensors"]["sha256"],)
        if path.suffix != ".onnx":
            return (sha256(path),) if path.is_file() else ()
        checkpoint = stated(path).get(CHECKPOINT_KEY)
        return (checkpoint,) if checkpoint else ()

    def _by_size(self, shelf: Shelf, fallback: Executor | None, clock: StageClock) -> Executor:
        from refusion.backends.tensorrt.by_size import EnginesBySize

        return EnginesBySize(
            shelf.find, lambda plan: self._open_engine(plan, clock, rebuild=False), shelf.explain, fallback
        )

    def _open_engine(self, plan: Path, clock: StageClock, *, rebuild: bool) -> Executor:
        from refusion.backends.tensorrt.opening import open_engine

        return open_engine(plan, clock, trust=self.trust, rebuild=rebuild)


def _may_use_engines(placement: Placement) -> bool:
    """Tell whether it is worth a look at GPU and engines: by what is installed, importing none of it."""
    if placement.device is Device.cpu or importlib.util.find_spec("pycuda") is None:
        return False
    return any(importlib.util.find_spec(name) is not None for name in ("tensorrt", "tensorrt_rtx"))


def engine_folders_of(engines: str | Path | Sequence[str | Path] | None) -> tuple[Path, ...] | None:
    """Return folders as they may be given: one, several, or None for where engines are by default."""
    if engines is None:
        return None
    return (Path(engines),) if isinstance(engines, (str, Path)) else tuple(map(Path, engines))
