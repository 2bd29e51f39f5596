"""Jetson boards: power rails, clocks and memory as NVIDIA's tegrastats prints them."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading

from refusion.errors import BackendError

_COMMAND = "tegrastats"
_INTERVAL_MS = 100
_FIRST_LINE_S = 5.0
# A module has one rail that everything comes through, by one of these names; on AGX Orin there are three.
_INPUT_RAILS = ("VDD_IN", "VIN", "POM_5V_IN")
_AGX_ORIN_RAILS = ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0")
# Now, average and, from JetPack 7 on, maximum: "VDD_IN 4915mW/4915mW"; JetPack 4 leaves the unit out.
_RAIL = re.compile(r"\b([A-Z][A-Z0-9_]*) (\d+)(?:mW)?/\d+(?:mW)?(?:/\d+(?:mW)?)?(?=\s|$)")
# "GR3D_FREQ 12%@[1300,1300]", "GR3D_FREQ 10%@1300", "GR3D_FREQ @[1000]"; without a clock, "GR3D_FREQ 0%".
_GPU_CLOCK = re.compile(r"\bGR3D_FREQ (?:\d+%)?@\[?(\d+)")
_GPU_LOAD = re.compile(r"\bGR3D_FREQ (\d+)%")
_MEMORY_CLOCK = re.compile(r"\bEMC_FREQ (?:\d+%)?@(\d+)")
_CPU_CLOCKS = re.compile(r"\d+%@(\d+)")
_CPUS = re.compile(r"\bCPU \[([^]]*)\]")
_MEMORY = re.compile(r"\bRAM (\d+)/\d+MB")
_GPU_TEMPERATURE = re.compile(r"\bgpu@(-?[\d.]+)C", re.IGNORECASE)


def parse(line: str) -> dict[str, float]:
    """Return what a line of tegrastats tells: `power_w` of the module, each rail, clocks, memory in use."""
    told: dict[str, float] = {}
    rails_w = {name: int(milliwatts) / 1e3 for name, milliwatts in _RAIL.findall(line)}
    inputs = [rails_w[name] for name in _INPUT_RAILS if name in rails_w]
    if inputs:
        told["power_w"] = inputs[0]
    elif all(name in rails_w for name in _AGX_ORIN_RAILS):
        told["power_w"] = sum(rails_w[name] for name in _AGX_ORIN_RAILS)
    told |= {f"{name.lower()}_w": power_w for name, power_w in rails_w.items()}
    for name, pattern in (
        ("gpu_clock_mhz", _GPU_CLOCK),
        ("gpu_load_percent", _GPU_LOAD),
        ("memory_clock_mhz", _MEMORY_CLOCK),
        ("memory_used_mib", _MEMORY),
        ("temperature_c", _GPU_TEMPERATURE),
    ):
        match = pattern.search(line)
        if match:
            told[name] = float(match[1])
    processors = _CPUS.search(line)
    clocks_mhz = [int(clock) for clock in _CPU_CLOCKS.findall(processors[1])] if processors else []
    if clocks_mhz:
        told["cpu_clock_mhz"] = sum(clocks_mhz) / len(clocks_mhz)
    return told


class Tegrastats:
    """A running tegrastats; a reading is what its latest line tells."""

    name = "Jetson module (tegrastats)"

    def __init__(self) -> None:
        """Start it, and wait for its first line.

        Raises:
            BackendError: This is no Jetson, or it prints nothing that is known.
        """
        command = shutil.which(_COMMAND)
        if command is None:
            raise BackendError("tegrastats: not installed; it is part of Jetson Linux")
        self._latest: dict[str, float] = {}
        self._told = threading.Event()
        self._process = subprocess.Popen(
            [command, "--interval", str(_INTERVAL_MS)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._thread = threading.Thread(target=self._follow, name="refusion tegrastats", daemon=True)
        self._thread.start()
        if not self._told.wait(_FIRST_LINE_S) or not self._latest:
            self.close()
            raise BackendError("tegrastats: printed nothing that is known here")

    def _follow(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._latest = parse(line)
            self._told.set()
        # It ended: who waits for a first line need not any more.
        self._told.set()

    def read(self) -> dict[str, float]:
        return self._latest

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()
        self._thread.join()
        if self._process.stdout is not None:
            self._process.stdout.close()
