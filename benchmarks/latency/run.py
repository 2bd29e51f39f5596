"""The whole latency benchmark: what was asked for in, one report out."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from refusion.backends import BACKENDS
from refusion.benchmarks.facts import facts
from refusion.benchmarks.latency.contenders import (
    Baseline,
    Contender,
    Weights,
    contenders,
    export_naively,
)
from refusion.benchmarks.latency.frames import measure_frames
from refusion.benchmarks.latency.network import NetworkResult, measure_network, noted
from refusion.benchmarks.latency.report_file import FORMAT
from refusion.benchmarks.latency.samples import Turns
from refusion.benchmarks.latency.scaling import ScalingPlan, measure_scaling
from refusion.benchmarks.latency.skipped import Skipped
from refusion.benchmarks.latency.streams import measure_streams, render_videos
from refusion.models import Model
from refusion.tasks import Task
from refusion.weights import sha256

AROUND_SIZES = ((640, 480), (1920, 1080))
"""Where pre- and post-processing are measured without a network."""
STREAM_SIZES = ((640, 480), (1280, 720))


@dataclass(frozen=True)
class Effort:
    """How long is measured."""

    turns: Turns = field(default_factory=Turns)
    stream_s: float = 6.0
    video_frames: int = 100
    """Of rendered videos."""
    scaling: ScalingPlan = field(default_factory=ScalingPlan)


QUICK = Effort(
    Turns(2, least_s=0.1, most_calls=5),
    stream_s=1.0,
    video_frames=25,
    scaling=ScalingPlan(((320, 240), (640, 480)), batches=(1, 2), least_s=0.2, longest_s=5.0),
)


@dataclass(frozen=True)
class LatencyRequest:
    """What to measure."""

    task: Task = Task.ivif
    models: tuple[Model, ...] = tuple(Model)
    backends: tuple[str, ...] | None = None
    """None: all that run on a CPU."""
    weights: Path | None = None
    """A file instead of the shipped weights, of the one model asked for."""
    sizes: tuple[tuple[int, int], ...] = ((640, 480),)
    batch: int = 1
    threads: int = 0
    with_baselines: bool = True
    with_streams: bool = False
    videos: tuple[Path, Path] | None = None
    """Sources a and b instead of rendered ones."""
    with_scaling: bool = False
    effort: Effort = field(default_factory=Effort)


def run(request: LatencyRequest, report: Callable[[str], None] = lambda line: None) -> dict[str, Any]:
    """Measure what was asked for, and return it as JSON holds it.

    What cannot run here is left out, and listed with the reason.

    Args:
        request: What to measure.
        report: Takes lines that say what is being measured.

    Raises:
        UsageError: There is no such backend.
        InputError: The videos cannot be read, or do not fit.
    """
    skipped: list[Skipped] = []
    found: dict[str, Any] = {"format": FORMAT, "facts": facts(request.threads)}
    chosen = contenders(request.models, request.backends, with_baselines=request.with_baselines)
    with tempfile.TemporaryDirectory(prefix="refusion-bench-") as name:
        folder = Path(name)
        weights = _weights(request, skipped)
        found["weights"] = {model.name: _weights_facts(files) for model, files in weights.items()}
        found["settings"] = _settings(request)
        chosen = [contender for contender in chosen if contender.model in weights]
        network = [
            result
            for size in request.sizes
            for result in _network(request, chosen, weights, size, folder, skipped, report)
        ]
        found["network"] = [result.as_json() for result in network]
        found["frames"] = _frames(request, chosen, skipped, report)
        if request.with_streams:
            fastest = _fastest(network)
            found["streams"] = _streams(request, fastest, folder, skipped, report)
        if request.with_scaling:
            report("scaling")
            found["scaling"] = []
            could_run = {result.contender for result in network}
            for result in measure_scaling(
                [contender for contender in chosen if contender in could_run],
                weights,
                threads=request.threads,
                plan=request.effort.scaling,
                skipped=skipped,
            ):
                width, height = result.size
                what = f"batch {result.batch}, {result.threads} threads"
                report(f"scaling: {result.contender.title}, {width}x{height}, {what}")
                found["scaling"].append(result.as_json())
    found["skipped"] = [one.as_json() for one in dict.fromkeys(skipped)]
    return found


def _weights(request: LatencyRequest, skipped: list[Skipped]) -> dict[Model, Weights]:
    """Return the files of the models that there are."""
    weights: dict[Model, Weights] = {}
    for model in request.models:
        with noted(skipped, f"{model.name} model", None):
            own = request.weights
            weights[model] = Weights.shipped(request.task, model) if own is None else Weights.of_file(own)
    return weights


def _weights_facts(weights: Weights) -> dict[str, str]:
    files = (weights.safetensors, weights.onnx)
    return {path.name: sha256(path) for path in files if path is not None and path.is_file()}


def _settings(request: LatencyRequest) -> dict[str, Any]:
    turns = request.effort.turns
    return {
        "task": request.task.name,
        "batch": request.batch,
        "scaling_size": list(request.effort.scaling.usual),
        "turns": turns.turns,
        "turn_least_s": turns.least_s,
        "turn_most_calls": turns.most_calls,
        "warm_up": "one call of each before the first turn, and 50 ms before each turn of calls below 500 ms",
    }


def _network(
    request: LatencyRequest,
    chosen: list[Contender],
    weights: dict[Model, Weights],
    size: tuple[int, int],
    folder: Path,
    skipped: list[Skipped],
    report: Callable[[str], None],
) -> list[NetworkResult]:
    report(f"network alone, {size[0]}x{size[1]}")
    naive = Contender(Model.full, Baseline.naive_onnx.name)
    if naive in chosen:
        with noted(skipped, naive.title, size):
            full = export_naively(weights[Model.full], folder / "naive.onnx", size=size, batch=request.batch)
            weights = {**weights, Model.full: full}
    return measure_network(
        chosen,
        weights,
        size=size,
        batch=request.batch,
        threads=request.threads,
        turns=request.effort.turns,
        skipped=skipped,
    )


def _frames(
    request: LatencyRequest,
    chosen: list[Contender],
    skipped: list[Skipped],
    report: Callable[[str], None],
) -> list[dict[str, Any]]:
    results = []
    for size in dict.fromkeys((*request.sizes, *AROUND_SIZES)):
        report(f"pair to picture, {size[0]}x{size[1]}")
        results += measure_frames(
            chosen if size in request.sizes else [],
            request.task,
            request.weights,
            size=size,
            threads=request.threads,
            turns=request.effort.turns,
            skipped=skipped,
        )
    return [result.as_json() for result in results]


def _fastest(results: list[NetworkResult]) -> list[Contender]:
    """Return our fastest backend of each model, of those that are taken without being asked for."""
    best: dict[Model, NetworkResult] = {}
    for result in results:
        model, facts_of_backend = result.contender.model, BACKENDS.get(result.contender.runner)
        if facts_of_backend is None or not facts_of_backend.unasked:
            continue
        if model not in best or result.samples.p50_ms < best[model].samples.p50_ms:
            best[model] = result
    return [result.contender for result in best.values()]


def _streams(
    request: LatencyRequest,
    fastest: list[Contender],
    folder: Path,
    skipped: list[Skipped],
    report: Callable[[str], None],
) -> list[dict[str, Any]]:
    videos: dict[str, Callable[[], tuple[Path, Path]]] = {}
    if request.videos is not None:
        own = request.videos
        videos[f"{own[0].name}, {own[1].name}"] = lambda: own
    else:
        for size in STREAM_SIZES:
            name = f"synthetic {size[0]}x{size[1]}"
            videos[name] = lambda size=size: render_videos(folder, size, request.effort.video_frames)  # type: ignore[misc]
    results = []
    for name, made in videos.items():
        report(f"videos to video, {name}")
        results += measure_streams(
            fastest,
            request.task,
            request.weights,
            made(),
            name,
            folder=folder,
            threads=request.threads,
            least_s=request.effort.stream_s,
            skipped=skipped,
        )
    return [result.as_json() for result in results]
