"""What tells power, clocks and memory of a platform, and a log of what it tells while something runs.

Readings have their unit in their name. One that ends in `_j` counts up; all others are of the moment.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol

from refusion.benchmarks.latency.kernel_sensors import CpuClocks, RaplZone
from refusion.benchmarks.latency.nvml import NvmlGpu
from refusion.benchmarks.latency.tegrastats import Tegrastats
from refusion.errors import BackendError

_INTERVAL_S = 0.05


class Sensor(Protocol):
    """Tells some quantities of a device."""

    name: str
    """Of the device, and of who tells."""

    def read(self) -> dict[str, float]:
        """Return what it tells now; nothing where it tells nothing yet."""

    def close(self) -> None:
        """Free what it holds; harmless when called twice."""


def find_sensors() -> tuple[list[Sensor], list[str]]:
    """Return the sensors of this machine, and why others are not there."""
    found: list[Sensor] = []
    missing: list[str] = []
    finders: tuple[Callable[[], Sequence[Sensor]], ...] = (
        lambda: [NvmlGpu()],
        lambda: [Tegrastats()],
        RaplZone.find,
        lambda: [CpuClocks()],
    )
    for finder in finders:
        try:
            found += finder()
        except BackendError as error:
            missing.append(str(error))
    return found, missing


@contextmanager
def opened_sensors(*, telling: str = "") -> Iterator[list[Sensor]]:
    """Open the sensors of this machine for a while: some are processes, and would disturb what is timed.

    Args:
        telling: A quantity: only those that tell it. Empty: all.
    """
    with ExitStack() as stack:
        found = [stack.enter_context(closing(sensor)) for sensor in find_sensors()[0]]
        yield [sensor for sensor in found if not telling or telling in sensor.read()]


@dataclass
class Log:
    """Reads sensors in a thread of its own, as a context manager. They are closed by who opened them."""

    sensors: Sequence[Sensor]
    values: defaultdict[str, defaultdict[str, list[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    """What each sensor told, by its name and the quantity's."""
    seconds: float = 0.0
    """How long the block took."""

    def __enter__(self) -> Log:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="refusion sensors", daemon=True)
        self._read()
        self._start_s = time.perf_counter()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.seconds = time.perf_counter() - self._start_s
        self._stop.set()
        self._thread.join()
        self._read()

    def growths(self) -> dict[str, float]:
        """Return by how much each quantity was above its first value, at most."""
        return {
            f"{sensor}: {quantity}": max(told) - told[0]
            for sensor, quantities in self.values.items()
            for quantity, told in quantities.items()
        }

    def _follow(self) -> None:
        while not self._stop.wait(_INTERVAL_S):
            self._read()

    def _read(self) -> None:
        for sensor in self.sensors:
            for quantity, value in sensor.read().items():
                self.values[sensor.name][quantity].append(value)
