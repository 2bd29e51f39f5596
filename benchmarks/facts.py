"""What results depend on: the machine and its GPU, versions, the build, the commit."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from contextlib import closing, suppress
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import refusion
from refusion import ops
from refusion.benchmarks.latency.nvml import NvmlGpu
from refusion.benchmarks.measurement import machine
from refusion.errors import BackendError
from refusion.gpus import find_gpus
from refusion.machine import processors

_PACKAGES = (
    *("torch", "onnxruntime", "onnxruntime-gpu", "tensorrt", "tensorrt-rtx", "pycuda", "nvidia-ml-py"),
    *("av", "safetensors"),
)
_BOARD = Path("/proc/device-tree/model")
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
# Of the flags that Linux lists, those that decide how fast a network runs; Arm's have other names.
_INSTRUCTION_SETS = (
    "avx2",
    "fma",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "avx_vnni",
    "amx_tile",
    "amx_bf16",
    "asimd",
    "asimddp",
    "bf16",
    "sve",
    "sve2",
)


def facts(threads: int) -> dict[str, object]:
    """Return the facts of a run on this machine.

    Args:
        threads: As asked for; 0 stands for all processors that this process may use.
    """
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "refusion": refusion.__version__,
        "commit": commit(),
        **machine(),
        "instruction_sets": instruction_sets(),
        "threads": threads or processors(),
        **_platform(),
        **({"gpus": gpus} if (gpus := gpu_facts()) else {}),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
        "pre_and_post": ops.implementation(),
        **_native_build(),
        **{name: found for name in _PACKAGES if (found := _version(name))},
    }


def instruction_sets() -> list[str]:
    """Return the vector instruction sets of this processor, as Linux calls them; empty elsewhere."""
    cpu_info = Path("/proc/cpuinfo")
    for line in cpu_info.read_text().splitlines() if cpu_info.is_file() else ():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            flags = set(value.split())
            return [one for one in _INSTRUCTION_SETS if one in flags]
    return []


def commit() -> str | None:
    """Return the commit of the checkout that this is, "-dirty" where files differ; None outside of one."""
    folder = Path(__file__).resolve().parent
    # Installed in an environment within some other project, git would name that one's commit.
    if not (folder.parent / ".git").exists():
        return None
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()


def gpu_facts() -> list[dict[str, object]]:
    """Return the GPUs that CUDA sees; of the first also driver, power limit and clocks, where NVML tells."""
    found: list[dict[str, object]] = [
        {
            "name": gpu.name,
            "compute_capability": gpu.sm,
            "memory_mib": gpu.memory_mib,
            "is_integrated": gpu.is_integrated,
        }
        for gpu in find_gpus().gpus
    ]
    if found:
        with suppress(BackendError), closing(NvmlGpu()) as first:
            found[0] |= first.facts()
    return found


def _platform() -> dict[str, object]:
    """Return what else decides how fast a machine is: the board, its power mode, the clocks' governor."""
    found: dict[str, object] = {}
    if _BOARD.is_file():
        found["board"] = _BOARD.read_text().strip("\0\n")
    if _GOVERNOR.is_file():
        found["cpu_governor"] = _GOVERNOR.read_text().strip()
    with suppress(OSError, subprocess.CalledProcessError):
        told = subprocess.run(["nvpmodel", "-q"], capture_output=True, text=True, check=True).stdout
        found["power_mode"] = " ".join(told.split())
    return found


def _native_build() -> dict[str, object]:
    if importlib.util.find_spec("refusion._C") is None:
        return {}
    from refusion import _C

    return {"native_threads": _C.thread_count(), "native_build": dict(_C.build_info())}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
