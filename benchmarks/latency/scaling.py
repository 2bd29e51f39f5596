"""Time and memory of the network against pixels, batch and threads; each measured in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from refusion.benchmarks.latency.contenders import Contender, Weights
from refusion.benchmarks.latency.probe import Probe, ProbeRequest, probe
from refusion.benchmarks.latency.skipped import Skipped, noted
from refusion.machine import processors
from refusion.models import Model

SIZES = ((320, 240), (640, 480), (1280, 720), (1920, 1080), (3840, 2160))
"""QVGA, VGA, 720p, 1080p and 4K."""
_MEMORY_SHARE = 0.8
"""Of the memory that is free: what is predicted to need more is not tried."""


@dataclass(frozen=True)
class ScalingPlan:
    """What is varied, and how long that may take."""

    sizes: tuple[tuple[int, int], ...] = SIZES
    usual: tuple[int, int] = (640, 480)
    """The one of them at which batch and threads are varied."""
    batches: tuple[int, ...] = (1, 2, 4)
    least_s: float = 1.0
    longest_s: float = 30.0
    """A run that is predicted to take longer, from the size before it, is left out."""


@dataclass(frozen=True)
class ScalingResult:
    """One contender at one size, batch and number of threads."""

    contender: Contender
    size: tuple[int, int]
    batch: int
    threads: int
    probe: Probe

    def as_json(self) -> dict[str, Any]:
        """Return the result as JSON holds it."""
        return {
            "title": self.contender.title,
            "model": self.contender.model.name,
            "runner": self.contender.runner,
            "size": list(self.size),
            "batch": self.batch,
            "threads": self.threads,
            "peak_mib": round(self.probe.peak_mib, 1),
            "run_mib": round(self.probe.run_mib, 1),
            "device_mib": self.probe.device_mib,
            "network": self.probe.samples.as_json(),
        }


def measure_scaling(
    contenders: Sequence[Contender],
    weights: Mapping[Model, Weights],
    *,
    threads: int,
    plan: ScalingPlan,
    skipped: list[Skipped],
) -> Iterator[ScalingResult]:
    """Yield results size by size, then batches and threads, one contender after the other.

    PyTorch is measured in the official form alone, and what is made for one size not at all: what they are
    compared with at one size says enough.
    """
    for contender in contenders:
        if contender.runner == "torch" or (contender.baseline and contender.baseline.is_of_one_size):
            continue
        request = ProbeRequest(
            contender, weights[contender.model], plan.usual, threads=threads, least_s=plan.least_s
        )
        yield from _by_size(request, plan, skipped)
        if contender.baseline is None:
            most = threads or processors()
            varied = [replace(request, batch=batch) for batch in plan.batches if batch > 1]
            if contender.device == "cpu":
                varied += [replace(request, threads=count) for count in _thread_counts(most)]
            for one in varied:
                with noted(skipped, contender.title, one.size):
                    yield _result(one)


def _by_size(request: ProbeRequest, plan: ScalingPlan, skipped: list[Skipped]) -> Iterator[ScalingResult]:
    last: ScalingResult | None = None
    for size in plan.sizes:
        with noted(skipped, request.contender.title, size):
            too_much = "" if last is None else _too_much(last, size, plan.longest_s)
            if too_much:
                skipped.append(Skipped(request.contender.title, size, too_much))
                continue
            last = _result(replace(request, size=size))
            yield last


def _too_much(last: ScalingResult, size: tuple[int, int], longest_s: float) -> str:
    growth = size[0] * size[1] / (last.size[0] * last.size[1])
    seconds = growth * last.probe.samples.p50_ms / 1e3
    if seconds > longest_s:
        return f"would take about {seconds:.0f} s a run"
    needed_mib, free_mib = growth * last.probe.run_mib, free_memory_mib()
    if needed_mib > _MEMORY_SHARE * free_mib:
        return f"would need about {needed_mib / 1024:.0f} GiB of memory, {free_mib / 1024:.0f} GiB are free"
    return ""


def free_memory_mib() -> float:
    """Return the memory that is available (Linux); without limit where that is not known."""
    info = Path("/proc/meminfo")
    for line in info.read_text().splitlines() if info.is_file() else ():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) / 1024
    return float("inf")


def _thread_counts(most: int) -> list[int]:
    """Return 1, 2, 4 ... below the most, which is measured anyway."""
    counts = []
    count = 1
    while count < most:
        counts.append(count)
        count *= 2
    return counts


def _result(request: ProbeRequest) -> ScalingResult:
    return ScalingResult(
        request.contender,
        request.size,
        request.batch,
        request.threads or processors(),
        probe(request),
    )
