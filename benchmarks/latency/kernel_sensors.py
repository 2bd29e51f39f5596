"""What Linux itself tells: the energy counters of x86 processors (RAPL), and the clocks of the cores."""

from __future__ import annotations

import os
import re
from pathlib import Path

from refusion.errors import BackendError

_RAPL = Path("/sys/class/powercap")
_CPUS = Path("/sys/devices/system/cpu")


class RaplZone:
    """The energy counter of a processor package, of its memory, or of the whole platform."""

    def __init__(self, folder: Path) -> None:
        """Begin to count.

        Raises:
            BackendError: The counter cannot be read.
        """
        self.name = f"{(folder / 'name').read_text().strip()} (RAPL)"
        self._counter = folder / "energy_uj"
        self._range_uj = int((folder / "max_energy_range_uj").read_text())
        self._counted_uj = 0
        self._last_uj = self._read_uj()

    @classmethod
    def find(cls, root: Path = _RAPL) -> list[RaplZone]:
        """Return the packages and what is beside them, not the cores and other parts of a package but memory.

        Raises:
            BackendError: There are none, or they cannot be read.
        """
        zones = [folder for folder in sorted(root.glob("intel-rapl:*")) if (folder / "energy_uj").is_file()]
        chosen = [zone for zone in zones if zone.name.count(":") == 1 or _is_memory(zone)]
        if not chosen:
            raise BackendError(f"RAPL: no energy counters in {root}")
        return [cls(zone) for zone in chosen]

    def read(self) -> dict[str, float]:
        now_uj = self._read_uj()
        # The counter starts anew at its range: minutes, at full power.
        self._counted_uj += (now_uj - self._last_uj) % (self._range_uj + 1)
        self._last_uj = now_uj
        return {"energy_j": self._counted_uj / 1e6}

    def _read_uj(self) -> int:
        try:
            return int(self._counter.read_text())
        except PermissionError:
            raise BackendError(f"RAPL: {self._counter} is readable to root alone on this system") from None

    def close(self) -> None:
        """Nothing is held."""


class CpuClocks:
    """The mean clock of the cores that this process may use."""

    name = "processor (cpufreq)"

    def __init__(self, root: Path = _CPUS) -> None:
        """Find the files.

        Raises:
            BackendError: The kernel does not tell, as on virtual machines.
        """
        allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
        self._files = [
            path
            for path in root.glob("cpu[0-9]*/cpufreq/scaling_cur_freq")
            if allowed is None or int(re.sub(r"\D", "", path.parts[-3])) in allowed
        ]
        if not self._files:
            raise BackendError(f"processor clocks: no cpufreq in {root}")

    def read(self) -> dict[str, float]:
        clocks_khz = [int(path.read_text()) for path in self._files]
        return {"clock_mhz": sum(clocks_khz) / len(clocks_khz) / 1e3}

    def close(self) -> None:
        """Nothing is held."""


def _is_memory(zone: Path) -> bool:
    return (zone / "name").read_text().strip() == "dram"
