"""An NVIDIA GPU as its driver's management library tells of it, through the package nvidia-ml-py."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from refusion.errors import BackendError


class NvmlGpu:
    """The first GPU that CUDA sees: power, energy, clocks, temperature and memory in use.

    Power is that of the board, which some drivers average over a second; energy is its counter's.
    """

    def __init__(self) -> None:
        """Start the library.

        Raises:
            BackendError: The package or the driver is not installed, or it knows no such GPU.
        """
        try:
            import pynvml
        except ImportError:
            raise BackendError("NVML: nvidia-ml-py is not installed (pip install nvidia-ml-py)") from None
        self._nvml: Any = pynvml
        self._is_open = False
        try:
            pynvml.nvmlInit()
            self._is_open = True
            self._gpu = self._first()
            self.name = f"{_text(pynvml.nvmlDeviceGetName(self._gpu))} (NVML)"
        except pynvml.NVMLError as error:
            self.close()
            raise BackendError(f"NVML: {error}") from None
        # What a GPU does not tell it refuses at every call.
        self._quantities = {
            name: ask for name, ask in self._all_quantities().items() if self._asked(ask) is not None
        }

    def _first(self) -> Any:
        """Return the GPU that CUDA_VISIBLE_DEVICES names first, by number or by identity."""
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0].strip()
        if visible.startswith(("GPU-", "MIG-")):
            return self._nvml.nvmlDeviceGetHandleByUUID(visible)
        return self._nvml.nvmlDeviceGetHandleByIndex(int(visible) if visible.isdigit() else 0)

    def _all_quantities(self) -> dict[str, Callable[[], float]]:
        nvml, gpu = self._nvml, self._gpu
        return {
            "power_w": lambda: nvml.nvmlDeviceGetPowerUsage(gpu) / 1e3,
            "energy_j": lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(gpu) / 1e3,
            "sm_clock_mhz": lambda: float(nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_SM)),
            "memory_clock_mhz": lambda: float(nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_MEM)),
            "temperature_c": lambda: float(nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU)),
            "memory_used_mib": lambda: nvml.nvmlDeviceGetMemoryInfo(gpu).used / 2**20,
        }

    def _asked(self, ask: Callable[[], Any]) -> Any:
        """Return an answer; None where the GPU does not give it."""
        try:
            return ask()
        except self._nvml.NVMLError:
            return None

    def read(self) -> dict[str, float]:
        told = {name: self._asked(ask) for name, ask in self._quantities.items()}
        return {name: value for name, value in told.items() if value is not None}

    def facts(self) -> dict[str, Any]:
        """Return what does not change while a benchmark runs: driver, power limit, clocks at most."""
        nvml, gpu = self._nvml, self._gpu
        asked: dict[str, Callable[[], Any]] = {
            "name": lambda: _text(nvml.nvmlDeviceGetName(gpu)),
            "driver": lambda: _text(nvml.nvmlSystemGetDriverVersion()),
            "cuda_of_driver": lambda: _cuda_version(nvml.nvmlSystemGetCudaDriverVersion()),
            "memory_mib": lambda: nvml.nvmlDeviceGetMemoryInfo(gpu).total >> 20,
            "power_limit_w": lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(gpu) / 1e3,
            "most_sm_clock_mhz": lambda: nvml.nvmlDeviceGetMaxClockInfo(gpu, nvml.NVML_CLOCK_SM),
            "most_memory_clock_mhz": lambda: nvml.nvmlDeviceGetMaxClockInfo(gpu, nvml.NVML_CLOCK_MEM),
        }
        told = {name: self._asked(ask) for name, ask in asked.items()}
        return {name: value for name, value in told.items() if value is not None}

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._nvml.nvmlShutdown()


def _text(value: str | bytes) -> str:
    """Return text: old versions of the package give bytes."""
    return value.decode() if isinstance(value, bytes) else value


def _cuda_version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"
