"""What others would run: the official network in PyTorch, compiled by it, and its naive ONNX export."""

from __future__ import annotations

import enum
import importlib.util
import os
import shutil
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from refusion.backends import BACKENDS
from refusion.backends.onnxruntime import CPU_PROVIDER, CUDA_PROVIDER, load_onnxruntime
from refusion.benchmarks.latency.weights import Weights
from refusion.errors import BackendError
from refusion.machine import processors

if TYPE_CHECKING:
    from refusion.models.fusion import FusionModule

_NAIVE_OPSET = 17
COMPILER = "inductor"
"""The default of torch.compile."""
_COMPILER_CACHE = "TORCHINDUCTOR_CACHE_DIR"


@dataclass(frozen=True)
class BaselineFacts:
    """What a baseline is called."""

    title: str
    """In tables."""
    column: str
    """At the head of a table's column of ratios to it."""
    text: str
    """In sentences."""


class Baseline(enum.Enum):
    """What others would run."""

    official = BaselineFacts(
        "official, PyTorch eager", "x official", "the official network in PyTorch eager mode"
    )
    """The full network as the official script computes it."""
    compiled = BaselineFacts("official, torch.compile", "x torch.compile", "it under torch.compile")
    """That network compiled for one size."""
    naive_onnx = BaselineFacts(
        "official, naive ONNX", "x naive ONNX", "its naive ONNX export in ONNX Runtime"
    )
    """That network as PyTorch exports it for one size, nothing rewritten, in ONNX Runtime."""

    @property
    def is_of_one_size(self) -> bool:
        """Whether it is made for the size that it is measured at, which takes longer than the measuring."""
        return self is not Baseline.official


class OfficialNetwork:
    """The network as the official inference script runs it: PyTorch, float32, with its default settings."""

    def __init__(
        self,
        checkpoint: Path,
        *,
        threads: int = 0,
        device: str = "cpu",
        compiled_for: tuple[int, int, int, int] | None = None,
    ) -> None:
        """Load it.

        Args:
            checkpoint: The file of weights.
            threads: CPU threads; 0 takes all cores.
            device: cpu or cuda.
            compiled_for: None: eager mode. Else the shape of the input that it is compiled for, here and
                now: it takes half a minute.

        Raises:
            BackendError: PyTorch, its CUDA, or what it compiles with is missing.
        """
        _require_torch()
        import torch

        if device == "cuda" and not torch.cuda.is_available():
            raise BackendError(f"this PyTorch ({torch.__version__}) cannot use a GPU")
        self._device = device
        self._module: Any = _official_module(checkpoint).to(device)
        # Stated, whatever OMP_NUM_THREADS says.
        torch.set_num_threads(threads or processors())
        self._is_compiled = compiled_for is not None
        if compiled_for is not None:
            self._compile(compiled_for)

    def _compile(self, shape: tuple[int, int, int, int]) -> None:
        import torch

        compiler = os.environ.get("CXX", "c++" if sys.platform == "darwin" else "g++")
        if COMPILER == "inductor" and self._device == "cpu" and shutil.which(compiler) is None:
            # PyTorch would say so too, after ten seconds of work.
            raise BackendError(f"torch.compile needs a C++ compiler, and there is no {compiler}")
        self._module = torch.compile(self._module, backend=COMPILER, dynamic=False)
        self.run(np.zeros(shape, np.float32))

    @property
    def description(self) -> str:
        import torch

        where = "CPU" if self._device == "cpu" else torch.cuda.get_device_name()
        return f"PyTorch {torch.__version__}, {'torch.compile, ' if self._is_compiled else ''}{where}"

    def run(self, sources: NDArray[np.float32]) -> NDArray[np.float32]:
        import torch

        try:
            with torch.inference_mode():
                on_device = torch.from_numpy(sources).to(self._device)
                fused: NDArray[np.float32] = self._module(on_device).cpu().numpy()
        # What its compiler raises, for instance where there is none for C++, is a RuntimeError too.
        except RuntimeError as error:
            raise BackendError(f"PyTorch could not run it: {str(error).splitlines()[0]}") from None
        return fused

    def close(self) -> None:
        self._module = None


class NaiveOnnx:
    """The naive export in ONNX Runtime with its default options."""

    def __init__(self, model: Path, *, threads: int = 0, device: str = "cpu") -> None:
        """Load it.

        Args:
            model: What `export_naively` wrote.
            threads: CPU threads; 0 takes all cores.
            device: cpu or cuda.

        Raises:
            BackendError: The device is cuda, and this ONNX Runtime cannot use one.
        """
        onnxruntime = load_onnxruntime()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        providers = [CPU_PROVIDER] if device == "cpu" else [CUDA_PROVIDER, CPU_PROVIDER]
        if not set(providers) <= set(onnxruntime.get_available_providers()):
            raise BackendError(f"this ONNX Runtime ({onnxruntime.__version__}) has no CUDA provider")
        self._session: Any = onnxruntime.InferenceSession(str(model), options, providers=providers)
        if self._session.get_providers()[0] != providers[0]:
            raise BackendError("ONNX Runtime cannot use its CUDA provider: its libraries do not load")
        self.description = f"ONNX Runtime {onnxruntime.__version__}, {device.upper()}"

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
    checkpoint = official_checkpoint(weights)
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


@contextmanager
def compiling_anew(folder: Path) -> Iterator[None]:
    """Have torch.compile find nothing that it compiled before, here and in processes started from here."""
    before = os.environ.get(_COMPILER_CACHE)
    os.environ[_COMPILER_CACHE] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ[_COMPILER_CACHE]
        else:
            os.environ[_COMPILER_CACHE] = before


def official_checkpoint(weights: Weights) -> Path:
    """Return the file that the official network reads.

    Raises:
        UsageError: There is none among the weights.
    """
    return weights.for_suffixes(BACKENDS["torch"].suffixes, "the official network")


def _official_module(checkpoint: Path) -> FusionModule:
    from refusion.benchmarks.official import official_form
    from refusion.models.checkpoints import load_fusion

    return official_form(load_fusion(checkpoint))


def _require_torch() -> None:
    if importlib.util.find_spec("torch") is None:
        raise BackendError("the official network needs PyTorch: pip install 'refusion[export]'")
