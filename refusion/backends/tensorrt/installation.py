"""How TensorRT is installed on this machine, as advice for people."""

from __future__ import annotations

import enum
import platform
from pathlib import Path


class Machine(enum.Enum):
    """Kinds of machine that get TensorRT in different ways."""

    jetson = enum.auto()
    nvidia = enum.auto()
    """NVIDIA's driver is there."""
    wsl_without_gpu = enum.auto()
    without_gpu = enum.auto()

    @classmethod
    def find(cls, root: Path = Path("/")) -> Machine:
        """Tell what this machine is, by the files that its drivers put up under the root."""
        # JetPack's file on both generations of kernels; containers show the device tree alone.
        if (root / "etc/nv_tegra_release").exists() or b"tegra" in _content(
            root / "proc/device-tree/compatible"
        ):
            return cls.jetson
        is_wsl = b"microsoft" in _content(root / "proc/version").lower()
        # WSL has no /dev/nvidia*: Windows' driver comes in as a library.
        marks = (
            ("usr/lib/wsl/lib/libcuda.so.1",) if is_wsl else ("proc/driver/nvidia/version", "dev/nvidiactl")
        )
        if any((root / mark).exists() for mark in marks):
            return cls.nvidia
        return cls.wsl_without_gpu if is_wsl else cls.without_gpu


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


ELSEWHERE = (
    "`refusion export --format tensorrt-rtx --target sm89` builds here for another machine's GPU, and "
    "`refusion fuse` runs here on ONNX Runtime"
)


def tensorrt_advice(machine: Machine, *, architecture: str) -> str:
    """Return how `tensorrt` is installed on a machine; architecture as platform.machine() says it."""
    if machine is Machine.jetson:
        return (
            "on Jetson TensorRT comes with JetPack: `sudo apt install python3-libnvinfer`, then a virtual "
            "environment that sees it (`python3 -m venv --system-site-packages .venv`) and "
            "`pip install pycuda` in it"
        )
    install = "`pip install 'refusion[tensorrt]'` (it fetches the libraries from NVIDIA)"
    if machine is Machine.nvidia:
        return install
    if machine is Machine.wsl_without_gpu:
        return f"install NVIDIA's driver on Windows (not inside WSL), then {install}; without it, {ELSEWHERE}"
    only_there = f"TensorRT builds only on the GPU that will run the engine; there: {install}"
    if architecture not in ("x86_64", "AMD64"):
        return f"no NVIDIA driver was found on this machine ({architecture}). {only_there}"
    return f"no NVIDIA driver was found on this machine. {only_there}; {ELSEWHERE}"


def tensorrt_rtx_advice(machine: Machine, *, architecture: str) -> str:
    """Return how `tensorrt-rtx` is installed on a machine; it builds without a GPU too."""
    if machine is Machine.jetson:
        return f"TensorRT-RTX does not run on Jetson; {tensorrt_advice(machine, architecture=architecture)}"
    return "`pip install 'refusion[tensorrt-rtx]'`"


def this_architecture() -> str:
    """Return the CPU architecture, for instance "x86_64" or "aarch64"."""
    return platform.machine()
