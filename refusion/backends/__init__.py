"""Backends: what runs the network. One file each behind one Protocol; choice and capability report here."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from refusion.backends import native
from refusion.errors import BackendError, UsageError


@dataclass(frozen=True)
class BackendFacts:
    """What sets one backend apart from the others."""

    modules: tuple[str, ...]
    """Any of them will do."""
    suffixes: tuple[str, ...]
    """Of the files of weights that it reads."""
    install: str
    unasked: bool = True
    """Whether auto may take it."""


MOST_THREADS = 4096
"""More than any machine has cores: a slip of the keyboard, which runtimes answer with an abort."""

CHECKPOINTS = (".safetensors", ".pth", ".pt")

# Of those that read a file, auto takes the first.
BACKENDS = {
    "native": BackendFacts(
        (native.MODULE,), CHECKPOINTS, "install refusion where a C++ compiler is found, see `refusion doctor`"
    ),
    "native-bf16": BackendFacts(
        (native.MODULE,), CHECKPOINTS, "needs a processor with AVX-512 BF16, and native", unasked=False
    ),
    "onnxruntime": BackendFacts(("onnxruntime",), (".onnx",), "pip install onnxruntime"),
    "torch": BackendFacts(("torch",), CHECKPOINTS, "pip install 'refusion[export]'"),
    "tensorrt": BackendFacts(("tensorrt", "tensorrt_rtx"), (".plan",), "see `refusion doctor`"),
    "triton": BackendFacts(("tritonclient",), (), "pip install 'refusion[triton]'", unasked=False),
}


class Backend(Protocol):
    """Runs the network of one set of weights. `run` may be called from several threads at once."""

    @property
    def description(self) -> str:
        """What runs where, for people: name, version, device."""

    def run(self, sources: NDArray[np.float32]) -> NDArray[np.float32]:
        """Fuse sources, float32 (N, 2, H, W) in [0, 1], into float32 (N, 1, H, W) in [0, 1].

        Raises:
            BackendError: The run failed, for instance for lack of memory.
        """

    def close(self) -> None:
        """Free what the backend holds; harmless when called twice."""


@dataclass(frozen=True)
class Capability:
    """Whether a backend can run here."""

    name: str
    available: bool
    detail: str
    """Version and device, or what to install."""


def capabilities() -> list[Capability]:
    """Report every backend, without importing the heavy ones."""
    report = []
    for name, facts in BACKENDS.items():
        found = [module for module in facts.modules if importlib.util.find_spec(module) is not None]
        if not is_installed(name):
            detail = f"not installed: {facts.install}"
        else:
            detail = ", ".join(map(_versioned, found))
            if facts.modules == (native.MODULE,):
                detail = native.detail(bfloat16=name == "native-bf16")
        report.append(Capability(name, is_installed(name), detail))
    return report


def is_installed(name: str) -> bool:
    """Tell whether what the backend needs is there, without importing it (but for the native one)."""
    if name == "native":
        return native.is_built()
    if name == "native-bf16":
        return native.has_bfloat16()
    return any(importlib.util.find_spec(module) is not None for module in BACKENDS[name].modules)


def fastest_for_shipped_weights(device: str) -> str:
    """Return the backend that "auto" means where weights are there for every one: native, or onnxruntime.

    Args:
        device: cpu, cuda or auto, as for create_backend.
    """
    if not native.is_built():
        return "onnxruntime"
    if device == "cpu" or not is_installed("onnxruntime"):
        return "native"
    from refusion.backends.onnxruntime import would_use_cuda

    return "onnxruntime" if device == "cuda" or would_use_cuda() else "native"


def _versioned(module: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    package = module.replace("_", "-")
    try:
        return f"{package} {version(package)}"
    # Some distributions have other names, for instance onnxruntime-gpu.
    except PackageNotFoundError:
        return package


def choose_backend(name: str, weights: Path) -> str:
    """Return the backend for these weights: the named one, or with "auto" the fastest that can read them.

    Raises:
        UsageError: There is no backend of that name, or it cannot read such a file.
        BackendError: It is not installed.
    """
    known = ("auto", *BACKENDS)
    if name not in known:
        raise UsageError(f"there is no backend '{name}'; choose one of {', '.join(known)}")
    able = [backend for backend, facts in BACKENDS.items() if weights.suffix in facts.suffixes]
    if not able:
        suffixes = ", ".join(
            dict.fromkeys(suffix for facts in BACKENDS.values() for suffix in facts.suffixes)
        )
        raise UsageError(f"{weights} is no weights file: it must end in one of {suffixes}")
    if name == "auto":
        candidates = [backend for backend in able if BACKENDS[backend].unasked]
        name = next(filter(is_installed, candidates), candidates[0])
    elif name not in able:
        raise UsageError(
            f"the {name} backend reads {' or '.join(BACKENDS[name].suffixes)} files, not {weights.name}; "
            "`refusion export --format onnx --checkpoint FILE` converts a checkpoint"
        )
    if not is_installed(name):
        raise BackendError(
            f"{weights.name} needs the {name} backend, which is not installed: {BACKENDS[name].install}"
        )
    return name


def create_backend(name: str, weights: Path, *, threads: int = 0, device: str = "cpu") -> Backend:
    """Load weights into the chosen backend (see choose_backend).

    Args:
        name: A backend's name, or "auto".
        weights: The file of weights.
        threads: CPU threads of the network, at most MOST_THREADS; 0 takes all cores.
        device: "cpu"; "cuda": on a GPU or not at all; "auto": on a GPU if the backend can.

    Raises:
        InputError, UsageError, WeightsError, BackendError: As the parts say.
    """
    if not 0 <= threads <= MOST_THREADS:
        raise UsageError(f"the number of threads must be 0 (all cores) to {MOST_THREADS}, not {threads}")
    chosen = choose_backend(name, weights)
    if chosen == "tensorrt":
        from refusion.backends.tensorrt.backend import TensorRTBackend
        from refusion.backends.tensorrt.loading import load_engine

        return TensorRTBackend(load_engine(weights))
    if chosen == "onnxruntime":
        from refusion.backends.onnxruntime import OnnxRuntimeBackend

        return OnnxRuntimeBackend(weights, threads=threads, device=device)
    if device == "cuda":
        raise BackendError(f"the {chosen} backend runs on the CPU only; choose another one for a GPU")
    if chosen in ("native", "native-bf16"):
        instruction_set = native.BFLOAT16 if chosen == "native-bf16" else ""
        return native.NativeBackend(weights, threads=threads, instruction_set=instruction_set)
    from refusion.backends.torch import TorchBackend

    return TorchBackend(weights, threads=threads)
