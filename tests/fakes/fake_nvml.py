"""A fake of `pynvml` (nvidia-ml-py): one GPU, whose energy counter goes up by 5 J at each reading."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any


class NVMLError(Exception):
    """Base of the library's errors."""


def fake_nvml(*, has_driver: bool = True, tells_energy: bool = True) -> Any:
    """Return a module; its `handles` lists how the GPU was asked for, `users` how often it is started."""
    m: Any = ModuleType("pynvml")
    m.NVMLError = NVMLError
    m.NVML_CLOCK_SM, m.NVML_CLOCK_MEM, m.NVML_TEMPERATURE_GPU = 1, 2, 0
    m.users = 0
    m.handles = []
    m.energy_mj = 0
    m.used_bytes = 1000 << 20

    def start() -> None:
        if not has_driver:
            raise NVMLError("NVML Shared Library Not Found")
        m.users += 1

    def stop() -> None:
        m.users -= 1

    def handle(key: int | str) -> str:
        m.handles.append(key)
        return "gpu"

    def energy(gpu: str) -> int:
        if not tells_energy:
            raise NVMLError("Not Supported")
        m.energy_mj += 5000
        return int(m.energy_mj)

    m.nvmlInit, m.nvmlShutdown = start, stop
    m.nvmlDeviceGetHandleByIndex = m.nvmlDeviceGetHandleByUUID = handle
    m.nvmlDeviceGetName = lambda gpu: b"Fake GPU"
    m.nvmlSystemGetDriverVersion = lambda: "570.1"
    m.nvmlSystemGetCudaDriverVersion = lambda: 12080
    m.nvmlDeviceGetEnforcedPowerLimit = lambda gpu: 700_000
    m.nvmlDeviceGetMaxClockInfo = lambda gpu, kind: 1980 if kind == 1 else 2619
    m.nvmlDeviceGetClockInfo = lambda gpu, kind: 1500 if kind == 1 else 2600
    m.nvmlDeviceGetTemperature = lambda gpu, kind: 41
    m.nvmlDeviceGetPowerUsage = lambda gpu: 120_500
    m.nvmlDeviceGetTotalEnergyConsumption = energy
    m.nvmlDeviceGetMemoryInfo = lambda gpu: SimpleNamespace(used=m.used_bytes, total=80 << 30)
    return m
