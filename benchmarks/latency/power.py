"""Power, energy and clocks while one thing runs alone, over and over."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from refusion.benchmarks.latency.sensors import Log, Sensor

_COUNTER = "energy_j"


@dataclass(frozen=True)
class PowerPlan:
    """For how long something is watched, and by what."""

    sensors: Callable[[], AbstractContextManager[Sequence[Sensor]]] | None = None
    """Opens those that tell; None: there are none."""
    settle_s: float = 1.0
    """Before it is watched: some sensors tell an average over a second."""
    least_s: float = 3.0


@dataclass(frozen=True)
class PowerResult:
    """What the sensors told while something ran alone."""

    frames: int
    seconds: float
    sensors: dict[str, dict[str, dict[str, float]]]
    """For each sensor and quantity its mean and its least and largest value. `power_w` comes from the
    counter of energy where there is one."""

    def as_json(self) -> dict[str, Any]:
        """Return the result as JSON holds it, with the energy that a frame takes."""
        energy_j = {
            name: round(quantities["power_w"]["mean"] * self.seconds / self.frames, 6)
            for name, quantities in self.sensors.items()
            if "power_w" in quantities and self.frames
        }
        return {
            "frames": self.frames,
            "seconds": round(self.seconds, 3),
            "sensors": self.sensors,
            "energy_j_per_frame": energy_j,
        }


def measure_power(call: Callable[[], object], frames: int, plan: PowerPlan) -> PowerResult | None:
    """Call over and over and return what the sensors told; None where there are none.

    Args:
        call: What is run.
        frames: How many frames a call is; 0 where it is none, as where nothing is run to see what that takes.
        plan: The sensors, and how long.
    """
    if plan.sensors is None:
        return None
    calls = 0
    with plan.sensors() as sensors:
        settled_s = time.perf_counter() + plan.settle_s
        while time.perf_counter() < settled_s:
            call()
        with Log(sensors) as log:
            end_s = time.perf_counter() + plan.least_s
            while not calls or time.perf_counter() < end_s:
                call()
                calls += 1
    told = {name: _summary(quantities, log.seconds) for name, quantities in log.values.items()}
    return PowerResult(calls * frames, log.seconds, told)


def _summary(told: dict[str, list[float]], seconds: float) -> dict[str, dict[str, float]]:
    found = {
        quantity: {
            "mean": round(statistics.fmean(values), 3),
            "least": round(min(values), 3),
            "largest": round(max(values), 3),
        }
        for quantity, values in told.items()
        if quantity != _COUNTER
    }
    if _COUNTER in told:
        mean_w = round((told[_COUNTER][-1] - told[_COUNTER][0]) / seconds, 3)
        found["power_w"] = {**found.get("power_w", {}), "mean": mean_w}
    return found
