"""The whole latency benchmark: what was asked for in, one report out."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
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
from refusion.benchmarks.latency.frames import FrameResult, measure_frames
from refusion.benchmarks.latency.network import NetworkResult, measure_network, noted
from refusion.benchmarks.latency.report_file import FORMAT
from refusion.benchmarks.latency.samples import Turns
from refusion.benchmarks.latency.scaling import ScalingPlan, ScalingResult, measure_scaling
from refusion.benchmarks.latency.skipped import Skipped
from refusion.benchmarks.latency.streams import StreamResult, measure_streams, render_videos
from refusion.models import Model
from refusion.stream.pairs import VideoPairs
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
    if request.videos is not None:
        # Opened once before minutes are spent on the rest.
        with VideoPairs(*request.videos):
            pass
    chosen = contenders(request.models, request.backends, with_baselines=request.with_baselines)
    with tempfile.TemporaryDirectory(prefix="refusion-bench-") as folder:
        return _Run(request, Path(folder), report).everything(chosen)


@dataclass
class _Run:
    request: LatencyRequest
    folder: Path
    report: Callable[[str], None]
    skipped: list[Skipped] = field(default_factory=list)
    weights: dict[Model, Weights] = field(default_factory=dict)

    def everything(self, chosen: list[Contender]) -> dict[str, Any]:
        """Return the whole report."""
        self._find_weights()
        chosen = [contender for contender in chosen if contender.model in self.weights]
        found: dict[str, Any] = {
            "format": FORMAT,
            "facts": facts(self.request.threads),
            "weights": {model.name: _weights_facts(files) for model, files in self.weights.items()},
            "settings": _settings(self.request),
        }
        network = [result for size in self.request.sizes for result in self._network(chosen, size)]
        found["network"] = [result.as_json() for result in network]
        found["frames"] = [result.as_json() for result in self._frames(chosen)]
        if self.request.with_streams:
            found["streams"] = [result.as_json() for result in self._streams(_fastest(network))]
        if self.request.with_scaling:
            could_run = {result.contender for result in network}
            scaled = self._scaling([contender for contender in chosen if contender in could_run])
            found["scaling"] = [result.as_json() for result in scaled]
        found["skipped"] = [one.as_json() for one in dict.fromkeys(self.skipped)]
        return found

    def _find_weights(self) -> None:
        task, own = self.request.task, self.request.weights
        for model in self.request.models:
            with noted(self.skipped, f"{model.name} model", None):
                self.weights[model] = Weights.shipped(task, model) if own is None else Weights.of_file(own)

    def _network(self, chosen: list[Contender], size: tuple[int, int]) -> list[NetworkResult]:
        self.report(f"network alone, {size[0]}x{size[1]}")
        weights, batch = dict(self.weights), self.request.batch
        naive = Contender(Model.full, Baseline.naive_onnx.name)
        if naive in chosen:
            with noted(self.skipped, naive.title, size):
                weights[Model.full] = export_naively(
                    weights[Model.full], self.folder / "naive.onnx", size=size, batch=batch
                )
        return measure_network(
            chosen,
            weights,
            size=size,
            batch=batch,
            threads=self.request.threads,
            turns=self.request.effort.turns,
            skipped=self.skipped,
        )

    def _frames(self, chosen: list[Contender]) -> Iterator[FrameResult]:
        for size in dict.fromkeys((*self.request.sizes, *AROUND_SIZES)):
            self.report(f"pair to picture, {size[0]}x{size[1]}")
            yield from measure_frames(
                chosen if size in self.request.sizes else [],
                self.request.task,
                self.request.weights,
                size=size,
                threads=self.request.threads,
                turns=self.request.effort.turns,
                skipped=self.skipped,
            )

    def _streams(self, chosen: list[Contender]) -> Iterator[StreamResult]:
        for name, videos in self._videos():
            self.report(f"videos to video, {name}")
            yield from measure_streams(
                chosen,
                self.request.task,
                self.request.weights,
                videos,
                name,
                folder=self.folder,
                threads=self.request.threads,
                least_s=self.request.effort.stream_s,
                skipped=self.skipped,
            )

    def _videos(self) -> Iterator[tuple[str, tuple[Path, Path]]]:
        """Yield the name and the files of each pair of videos, rendered when it is its turn."""
        if self.request.videos is not None:
            yield ", ".join(path.name for path in self.request.videos), self.request.videos
            return
        for size in STREAM_SIZES:
            rendered = render_videos(self.folder, size, self.request.effort.video_frames)
            yield f"synthetic {size[0]}x{size[1]}", rendered

    def _scaling(self, chosen: list[Contender]) -> Iterator[ScalingResult]:
        for result in measure_scaling(
            chosen,
            self.weights,
            threads=self.request.threads,
            plan=self.request.effort.scaling,
            skipped=self.skipped,
        ):
            width, height = result.size
            what = f"{width}x{height}, batch {result.batch}, {result.threads} threads"
            self.report(f"scaled: {result.contender.title}, {what}")
            yield result


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
