"""The network alone: all contenders on the same input, in turns; how far the results differ; memory."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusion import ops
from refusion.backends import Backend
from refusion.benchmarks.latency.contenders import Contender, Weights, reference_of
from refusion.benchmarks.latency.probe import Probe, ProbeRequest, probe
from refusion.benchmarks.latency.samples import Samples, Turns
from refusion.benchmarks.latency.skipped import Skipped
from refusion.errors import RefusionError
from refusion.models import Model
from refusion.stream.synthetic import SyntheticScene


@dataclass(frozen=True)
class NetworkResult:
    """One contender on one size."""

    contender: Contender
    description: str
    size: tuple[int, int]
    """Width and height."""
    batch: int
    samples: Samples
    largest_difference: float | None
    """From the network's PyTorch module, the full one in the official form; None where that is missing."""
    memory: Probe | None

    def as_json(self) -> dict[str, Any]:
        """Return the result as JSON holds it."""
        return {
            "title": self.contender.title,
            "model": self.contender.model.name,
            "runner": self.contender.runner,
            "precision": self.contender.precision,
            "description": self.description,
            "size": list(self.size),
            "batch": self.batch,
            "largest_difference": self.largest_difference,
            "peak_mib": None if self.memory is None else round(self.memory.peak_mib, 1),
            "run_mib": None if self.memory is None else round(self.memory.run_mib, 1),
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
    skipped: list[Skipped],
) -> list[NetworkResult]:
    """Measure all contenders that can run; the others are added to `skipped`, with the reason."""
    sources = synthetic_sources(size, batch)
    with ExitStack() as stack:
        backends: dict[Contender, Backend] = {}
        for contender in contenders:
            with noted(skipped, contender.title, size):
                backend = contender.open(weights[contender.model], threads=threads)
                backends[contender] = stack.enter_context(closing(backend))
        differences = _differences(backends, weights, sources, skipped)
        calls = {one.title: functools.partial(backend.run, sources) for one, backend in backends.items()}
        measured = turns.take(calls)
        descriptions = {one: backend.description for one, backend in backends.items()}
    return [
        NetworkResult(
            one,
            descriptions[one],
            size,
            batch,
            measured[one.title].samples,
            differences.get(one),
            _memory(one, weights[one.model], size, batch, threads, skipped),
        )
        for one in descriptions
    ]


@contextmanager
def noted(skipped: list[Skipped], what: str, size: tuple[int, int] | None) -> Iterator[None]:
    """Note what cannot run in the block, and go on after it."""
    try:
        yield
    except RefusionError as error:
        skipped.append(Skipped(what, size, str(error)))


def _differences(
    backends: Mapping[Contender, Backend],
    weights: Mapping[Model, Weights],
    sources: NDArray[np.float32],
    skipped: list[Skipped],
) -> dict[Contender, float]:
    size = sources.shape[3], sources.shape[2]
    results = {contender: backend.run(sources) for contender, backend in backends.items()}
    found: dict[Contender, float] = {}
    for model in dict.fromkeys(contender.model for contender in backends):
        reference = reference_of(model)
        with noted(skipped, f"{model.name}, difference from PyTorch", size):
            if reference not in results:
                with closing(reference.open(weights[model])) as backend:
                    results[reference] = backend.run(sources)
            for contender in backends:
                if contender.model is model:
                    difference = np.abs(results[contender] - results[reference])
                    found[contender] = float(difference.max())
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
