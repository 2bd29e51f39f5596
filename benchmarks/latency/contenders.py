"""What is compared: our networks on every backend, and what they are compared with."""

from __future__ import annotations

import enum
import importlib.util
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from refusion.backends import BACKENDS, Backend, create_backend
from refusion.benchmarks.facts import processors
from refusion.errors import BackendError, UsageError
from refusion.models import Model
from refusion.tasks import Task
from refusion.weights import shipped_weights

if TYPE_CHECKING:
    from refusion.models.fusion import FusionModule

_NAIVE_OPSET = 17


@dataclass(frozen=True)
class BaselineFacts:
    """What a baseline is called."""

    title: str
    """In tables."""
    text: str
    """In sentences."""


class Baseline(enum.Enum):
    """What others would run."""

    official = BaselineFacts("official, PyTorch eager", "the official network in PyTorch eager mode")
    """The full network as the official script computes it."""
    naive_onnx = BaselineFacts("official, naive ONNX", "its naive ONNX export in ONNX Runtime")
    """That network as PyTorch exports it for one size, nothing rewritten, in ONNX Runtime."""


@dataclass(frozen=True)
class Weights:
    """Files of one network's weights, as far as there are any."""

    safetensors: Path | None
    onnx: Path | None
    naive_onnx: Path | None = None
    """What `export_naively` wrote."""

    @classmethod
    def shipped(cls, task: Task, model: Model) -> Weights:
        """Return the files that come with the package.

        Raises:
            WeightsError: There are none.
        """
        files = shipped_weights(task, model)
        return cls(files.safetensors, files.onnx)

    @classmethod
    def of_file(cls, path: Path) -> Weights:
        """Return a user's file."""
        return cls(None, path) if path.suffix == ".onnx" else cls(path, None)

    def for_suffixes(self, suffixes: Iterable[str], who: str) -> Path:
        """Return the file that somebody can read.

        Raises:
            UsageError: There is none.
        """
        for path in (self.safetensors, self.onnx):
            if path is not None and path.suffix in suffixes:
                return path
        raise UsageError(f"{who} reads {' or '.join(suffixes)} files, and none was given")


@dataclass(frozen=True)
class Contender:
    """One network on one backend, or one of the baselines."""

    model: Model
    runner: str
    """Name of a backend or of a Baseline member."""

    @property
    def baseline(self) -> Baseline | None:
        """Which baseline it is; None for a backend."""
        return Baseline.__members__.get(self.runner)

    @property
    def precision(self) -> str:
        """What the network's products are computed in."""
        return "bfloat16" if self.runner == "native-bf16" else "float32"

    @property
    def title(self) -> str:
        """What tables call it."""
        return f"{self.model.name}, {self.runner}" if self.baseline is None else self.baseline.value.title

    def open(self, weights: Weights, *, threads: int = 0) -> Backend:
        """Load it.

        Raises:
            RefusionError: It cannot run here; the message says why.
        """
        if self.baseline is None:
            path = weights.for_suffixes(BACKENDS[self.runner].suffixes, f"the {self.runner} backend")
            return create_backend(self.runner, path, threads=threads)
        if self.baseline is Baseline.official:
            return OfficialNetwork(_checkpoint(weights), threads=threads)
        if weights.naive_onnx is None:
            raise BackendError("the naive ONNX export is missing")
        return NaiveOnnx(weights.naive_onnx, threads=threads)


def contenders(
    models: Iterable[Model], backends: Iterable[str] | None, *, with_baselines: bool
) -> list[Contender]:
    """Return what is to be compared, baselines first.

    Args:
        models: The networks.
        backends: Names; None: all that run on a CPU.
        with_baselines: Whether the full network is compared with what others would run.

    Raises:
        UsageError: There is no such backend.
    """
    names = [name for name in BACKENDS if name != "tensorrt"] if backends is None else list(backends)
    for name in names:
        if name not in BACKENDS:
            raise UsageError(f"there is no backend '{name}'; choose one of {', '.join(BACKENDS)}")
    models = list(models)
    chosen = []
    if with_baselines and Model.full in models:
        chosen = [Contender(Model.full, baseline.name) for baseline in Baseline]
    return chosen + [Contender(model, name) for model in models for name in names]


class OfficialNetwork:
    """The network as the official inference script runs it: PyTorch eager mode, float32."""

    def __init__(self, checkpoint: Path, *, threads: int = 0) -> None:
        _require_torch()
        import torch

        self._module = _official_module(checkpoint)
        # Stated, whatever OMP_NUM_THREADS says.
        torch.set_num_threads(threads or processors())

    @property
    def description(self) -> str:
        import torch

        return f"PyTorch {torch.__version__}, CPU"

    def run(self, sources: NDArray[np.float32]) -> NDArray[np.float32]:
        import torch

        try:
            with torch.inference_mode():
                fused: NDArray[np.float32] = self._module(torch.from_numpy(sources)).numpy()
        except RuntimeError as error:
            raise BackendError(f"PyTorch could not run it: {str(error).splitlines()[0]}") from None
        return fused

    def close(self) -> None:
        """Nothing to free before the object goes."""


class NaiveOnnx:
    """The naive export in ONNX Runtime with its default options."""

    def __init__(self, model: Path, *, threads: int = 0) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._version = onnxruntime.__version__
        self._session: Any = onnxruntime.InferenceSession(
            str(model), options, providers=["CPUExecutionProvider"]
        )

    @property
    def description(self) -> str:
        return f"ONNX Runtime {self._version}, CPU"

    def run(self, sources: NDArray[np.float32]) -> NDArray[np.float32]:
        try:
            fused: NDArray[np.float32] = self._session.run(None, {"sources": sources})[0]
        except Exception as error:  # the runtime's exceptions have no common public base
            raise BackendError(f"ONNX Runtime could not run it: {str(error).splitlines()[0]}") from None
        return fused

    def close(self) -> None:
        self._session = None


def export_naively(weights: Weights, target: Path, *, size: tuple[int, int], batch: int) -> Weights:
    """Write the official network's ONNX model as PyTorch's exporter makes it, and return the weights with it.

    Args:
        weights: With a checkpoint.
        target: The `.onnx` to write.
        size: Width and height that it is for.
        batch: Likewise.

    Raises:
        BackendError: PyTorch or onnx is not installed.
        UsageError: There is no checkpoint among the weights.
    """
    checkpoint = _checkpoint(weights)
    _require_torch()
    if importlib.util.find_spec("onnx") is None:
        raise BackendError("the naive ONNX export needs onnx: pip install 'refusion[export]'")
    import torch

    with warnings.catch_warnings(), torch.inference_mode():
        # What the exporter says of itself and of constants is not about this network.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _official_module(checkpoint),
            (torch.rand(batch, 2, size[1], size[0]),),
            str(target),
            input_names=["sources"],
            output_names=["fused"],
            opset_version=_NAIVE_OPSET,
            dynamo=False,
        )
    return replace(weights, naive_onnx=target)


def reference_of(model: Model) -> Contender:
    """Return what the results of a network are compared with: PyTorch, float32; of the full one as the
    official script computes it.
    """
    return Contender(model, Baseline.official.name if model is Model.full else "torch")


def _checkpoint(weights: Weights) -> Path:
    return weights.for_suffixes(BACKENDS["torch"].suffixes, "the official network")


def _official_module(checkpoint: Path) -> FusionModule:
    from refusion.benchmarks.official import official_form
    from refusion.models.checkpoints import load_fusion

    return official_form(load_fusion(checkpoint))


def _require_torch() -> None:
    if importlib.util.find_spec("torch") is None:
        raise BackendError("the official network needs PyTorch: pip install 'refusion[export]'")
