"""The network alone: all contenders on one input, in turns; how far results differ; memory and power."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusion import ops
from refusion.backends import Backend
from refusion.benchmarks.latency.contenders import Contender, Weights, reference_of
from refusion.benchmarks.latency.engines import engine_facts
from refusion.benchmarks.latency.power import PowerPlan, PowerResult, measure_power
from refusion.benchmarks.latency.probe import Probe, ProbeRequest, probe
from refusion.benchmarks.latency.samples import Samples, Turns
from refusion.benchmarks.latency.skipped import Skipped, noted
from refusion.models import Model
from refusion.placement import PLAN_SUFFIX
from refusion.stream.synthetic import SyntheticScene
from refusion.weights import sha256


@dataclass(frozen=True)
class Loaded:
    """A contender that runs here, and what it took to get there."""

    contender: Contender
    backend: Backend
    description: str
    open_s: float
    """Loading the weights; of what is made for one size, also making it."""
    file: dict[str, Any]
    """What it was loaded from: name and SHA-256; of an engine, also what its record states."""


@dataclass(frozen=True)
class NetworkResult:
    """One contender on one size."""

    loaded: Loaded
    size: tuple[int, int]
    """Width and height."""
    batch: int
    samples: Samples
    largest_difference: float | None
    """From the network's PyTorch module, the full one in the official form; None where that is missing."""
    memory: Probe | None
    power: PowerResult | None
    """None where nothing here tells the power."""

    @property
    def contender(self) -> Contender:
        """What was measured."""
        return self.loaded.contender

    def as_json(self) -> dict[str, Any]:
        """Return the result as JSON holds it."""
        return {
            "title": self.contender.title,
            "model": self.contender.model.name,
            "runner": self.contender.runner,
            "device": self.contender.device,
            "precision": self.contender.precision.value,
            "description": self.loaded.description,
            "file": self.loaded.file,
            "open_s": round(self.loaded.open_s, 2),
            "size": list(self.size),
            "batch": self.batch,
            "largest_difference": self.largest_difference,
            "peak_mib": None if self.memory is None else round(self.memory.peak_mib, 1),
            "run_mib": None if self.memory is None else round(self.memory.run_mib, 1),
            "device_mib": None if self.memory is None else self.memory.device_mib,
            "power": None if self.power is None else self.power.as_json(),
            "network": self.samples.as_json(),
        }


def synthetic_sources(size: tuple[int, int], batch: int) -> NDArray[np.float32]:
    """Return lumas of the synthetic scene, (batch, 2, H, W)."""
    scene = SyntheticScene(width_px=size[0], height_px=size[1])
    pairs = [scene.pair(10 * index) for index in range(batch)]
    return np.stack([ops.preprocess(pair.a, pair.b) for pair in pairs])


def measure_network(
    contenders: Sequence[Contender],
    weights: Mapping[Model, Weights],
    *,
    size: tuple[int, int],
    batch: int,
    threads: int,
    turns: Turns,
    power: PowerPlan,
    skipped: list[Skipped],
) -> list[NetworkResult]:
    """Measure all contenders that can run; the others are added to `skipped`, with the reason."""
    sources = synthetic_sources(size, batch)
    with ExitStack() as stack:
        opened: list[Loaded] = []
        results: dict[Contender, NDArray[np.float32]] = {}
        for contender in contenders:
            with noted(skipped, contender.title, size):
                loaded = _load(contender, weights[contender.model], size, batch, threads)
                stack.enter_context(closing(loaded.backend))
                # What has not the memory, for instance, says so at its first run.
                results[contender] = loaded.backend.run(sources)
                opened.append(loaded)
        differences = _differences(results, weights, sources, skipped)
        calls = {one.contender.title: functools.partial(one.backend.run, sources) for one in opened}
        measured = turns.take(calls)
        powers = {title: measure_power(call, batch, power) for title, call in calls.items()}
    return [
        NetworkResult(
            one,
            size,
            batch,
            measured[one.contender.title].samples,
            differences.get(one.contender),
            _memory(one.contender, weights[one.contender.model], size, batch, threads, skipped),
            powers[one.contender.title],
        )
        for one in opened
    ]


def _load(contender: Contender, weights: Weights, size: tuple[int, int], batch: int, threads: int) -> Loaded:
    path = contender.file(weights, size=size, batch=batch)
    start_s = time.perf_counter()
    backend = contender.open(weights, size=size, batch=batch, threads=threads)
    open_s = time.perf_counter() - start_s
    record = engine_facts(path) if path.suffix == PLAN_SUFFIX else {}
    file = {"name": path.name, "sha256": sha256(path), **record}
    return Loaded(contender, backend, backend.description, open_s, file)


def _differences(
    results: Mapping[Contender, NDArray[np.float32]],
    weights: Mapping[Model, Weights],
    sources: NDArray[np.float32],
    skipped: list[Skipped],
) -> dict[Contender, float]:
    size = sources.shape[3], sources.shape[2]
    found: dict[Contender, float] = {}
    for model in dict.fromkeys(contender.model for contender in results):
        reference = reference_of(model)
        with noted(skipped, f"{model.name}, difference from PyTorch", size):
            expected = results.get(reference)
            if expected is None:
                with closing(reference.open(weights[model], size=size, batch=len(sources))) as backend:
                    expected = backend.run(sources)
            for contender, result in results.items():
                if contender.model is model:
                    found[contender] = float(np.abs(result - expected).max())
    return found


def _memory(
    contender: Contender,
    weights: Weights,
    size: tuple[int, int],
    batch: int,
    threads: int,
    skipped: list[Skipped],
) -> Probe | None:
    with noted(skipped, f"{contender.title}, memory", size):
        return probe(ProbeRequest(contender, weights, size, batch, threads))
    return None
