"""Backends: what runs the network. One file each behind one Protocol; choice and capability report here."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from refusion.errors import BackendError, UsageError

INSTALL = {
    "onnxruntime": "pip install onnxruntime",
    "torch": "pip install 'refusion[export]'",
}
WEIGHTS_SUFFIXES = {"onnxruntime": (".onnx",), "torch": (".safetensors", ".pth", ".pt")}


class Backend(Protocol):
    """Runs the network of one set of weights. `run` may be called from several threads at once."""

    @property
    def description(self) -> str:
        """What runs where, for people: name, version, device."""

    def run(self, sources: NDArray[np.float32]) -> NDArray[np.float32]:
        """Fuse sources, float32 (N, 2, H, W) in [0, 1], into float32 (N, 1, H, W) in (0, 1).

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
    from importlib.metadata import PackageNotFoundError, version

    report = []
    for name, install in INSTALL.items():
        try:
            found = importlib.util.find_spec(name) is not None
            detail = f"{name} {version(name)}, CPU" if found else f"not installed: {install}"
        except PackageNotFoundError:
            detail = name
        report.append(Capability(name, found, detail))
    return report


def choose_backend(name: str, weights: Path) -> str:
    """Return the backend for these weights: the named one, or with "auto" the fastest that can read them.

    Raises:
        UsageError: There is no backend of that name, or it cannot read such a file.
        BackendError: It is not installed.
    """
    known = ("auto", *INSTALL)
    if name not in known:
        raise UsageError(f"there is no backend '{name}'; choose one of {', '.join(known)}")
    able = [backend for backend, suffixes in WEIGHTS_SUFFIXES.items() if weights.suffix in suffixes]
    if not able:
        suffixes = ", ".join(suffix for group in WEIGHTS_SUFFIXES.values() for suffix in group)
        raise UsageError(f"{weights} is no weights file: it must end in one of {suffixes}")
    if name == "auto":
        name = able[0]
    elif name not in able:
        raise UsageError(
            f"the {name} backend reads {' or '.join(WEIGHTS_SUFFIXES[name])} files, not {weights.name}; "
            "`refusion export --format onnx --checkpoint FILE` converts a checkpoint"
        )
    if importlib.util.find_spec(name) is None:
        raise BackendError(
            f"{weights.name} needs the {name} backend, which is not installed: {INSTALL[name]}"
        )
    return name


def create_backend(name: str, weights: Path, *, threads: int = 0) -> Backend:
    """Load weights into the chosen backend (see choose_backend).

    Args:
        name: A backend's name, or "auto".
        weights: The file of weights.
        threads: CPU threads of the network; 0 takes all cores.

    Raises:
        InputError, UsageError, WeightsError, BackendError: As the parts say.
    """
    chosen = choose_backend(name, weights)
    if chosen == "onnxruntime":
        from refusion.backends.onnxruntime import OnnxRuntimeBackend

        return OnnxRuntimeBackend(weights, threads=threads)
    from refusion.backends.torch import TorchBackend

    return TorchBackend(weights, threads=threads)
