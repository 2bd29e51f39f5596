"""The whole latency benchmark: what was asked for in, one report out."""

from __future__ import annotations

import functools
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from refusion.backends import BACKENDS
from refusion.benchmarks.facts import facts
from refusion.benchmarks.latency import FORMAT
from refusion.benchmarks.latency.baselines import Baseline, compiling_anew, export_naively
from refusion.benchmarks.latency.contenders import DEVICES, Contender, contenders
from refusion.benchmarks.latency.engines import engine_facts
from refusion.benchmarks.latency.frames import FrameResult, measure_frames
from refusion.benchmarks.latency.network import NetworkResult, measure_network
from refusion.benchmarks.latency.power import PowerPlan, measure_power
from refusion.benchmarks.latency.precisions import Precision
from refusion.benchmarks.latency.request import QUICK, Effort, LatencyRequest
from refusion.benchmarks.latency.scaling import ScalingResult, measure_scaling
from refusion.benchmarks.latency.sensors import find_sensors, opened_sensors
from refusion.benchmarks.latency.skipped import Skipped, noted
from refusion.benchmarks.latency.streams import measure_streams, render_videos
from refusion.benchmarks.latency.weights import Weights
from refusion.errors import BackendError, WeightsError
from refusion.gpus import find_gpus
from refusion.models import Model
from refusion.stream.pairs import VideoPairs
from refusion.weights import sha256
from refusion.weights_file import stated

__all__ = ["QUICK", "Effort", "LatencyRequest", "run", "stated_contender"]

AROUND_SIZES = ((640, 480), (1920, 1080))
"""Where pre- and post-processing are measured without a network."""
STREAM_SIZES = ((640, 480), (1280, 720))
_IDLE_NAP_S = 0.05
_PRECISION_KEY = "refusion.precision"
"""Metadata key of the ONNX models that our exporter writes."""


def run(request: LatencyRequest, report: Callable[[str], None] = lambda line: None) -> dict[str, Any]:
    """Measure what was asked for, and return it as JSON holds it.

    What cannot run here is left out, and listed with the reason.

    Args:
        request: What to measure.
        report: Takes lines that say what is being measured.

    Raises:
        UsageError: There is no such backend, or none runs in these precisions.
        InputError: The videos cannot be read, or do not fit.
    """
    if request.videos is not None:
        # Opened once before minutes are spent on the rest.
        with VideoPairs(*request.videos):
            pass
    chosen = contenders(
        request.models,
        request.backends,
        with_baselines=request.with_baselines,
        devices=devices_here() if request.devices is None else request.devices,
        precisions=request.precisions,
    )
    with (
        tempfile.TemporaryDirectory(prefix="refusion-bench-") as folder,
        compiling_anew(Path(folder) / "compiled"),
    ):
        return _Run(request, Path(folder), report).everything(chosen)


def devices_here() -> tuple[str, ...]:
    """Return what is measured unasked: the CPU, and the GPU where CUDA sees one."""
    return DEVICES if find_gpus().gpus else ("cpu",)


@dataclass
class _Run:
    request: LatencyRequest
    folder: Path
    report: Callable[[str], None]
    power: PowerPlan = field(default_factory=PowerPlan)
    skipped: list[Skipped] = field(default_factory=list)
    weights: dict[Model, Weights] = field(default_factory=dict)

    def everything(self, chosen: list[Contender]) -> dict[str, Any]:
        """Return the whole report."""
        self._find_weights()
        chosen = [contender for contender in chosen if contender.model in self.weights]
        if self.request.weights is not None:
            chosen = list(dict.fromkeys(stated_contender(one, self.weights[one.model]) for one in chosen))
        found: dict[str, Any] = {
            "format": FORMAT,
            "facts": facts(self.request.threads),
            "weights": {model.name: _weights_facts(files) for model, files in self.weights.items()},
            "settings": _settings(self.request),
            "sensors": self._sensors(),
        }
        network = [result for size in self.request.sizes for result in self._network(chosen, size)]
        found["network"] = [result.as_json() for result in network]
        found["frames"] = [result.as_json() for result in self._frames(chosen)]
        if self.request.with_streams:
            found["streams"], found["one_at_a_time"] = self._streams(_fastest(network))
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
                self.weights[model] = (
                    Weights.shipped(task, model) if own is None else Weights.of_file(own, task)
                )

    def _sensors(self) -> dict[str, Any]:
        """Return who tells power and clocks, what they tell while nothing runs, and who does not and why."""
        sensors, missing = find_sensors()
        for sensor in sensors:
            sensor.close()
        if sensors:
            self.power = PowerPlan(opened_sensors, least_s=self.request.effort.power_s)
        idle = measure_power(functools.partial(time.sleep, _IDLE_NAP_S), 0, self.power)
        return {
            "found": [sensor.name for sensor in sensors],
            "idle": None if idle is None else idle.as_json(),
            "missing": missing,
        }

    def _network(self, chosen: list[Contender], size: tuple[int, int]) -> list[NetworkResult]:
        self.report(f"network alone, {size[0]}x{size[1]}")
        weights, batch = dict(self.weights), self.request.batch
        naive = next((one for one in chosen if one.baseline is Baseline.naive_onnx), None)
        if naive is not None:
            with noted(self.skipped, naive.title, size):
                weights[naive.model] = export_naively(
                    weights[naive.model], self.folder / "naive.onnx", size=size, batch=batch
                )
        return measure_network(
            chosen,
            weights,
            size=size,
            batch=batch,
            threads=self.request.threads,
            turns=self.request.effort.turns,
            power=self.power,
            skipped=self.skipped,
        )

    def _frames(self, chosen: list[Contender]) -> Iterator[FrameResult]:
        for size in dict.fromkeys((*self.request.sizes, *AROUND_SIZES)):
            self.report(f"pair to picture, {size[0]}x{size[1]}")
            yield from measure_frames(
                chosen if size in self.request.sizes else [],
                self.weights,
                size=size,
                batch=self.request.batch,
                threads=self.request.threads,
                turns=self.request.effort.turns,
                stream_s=self.request.effort.hand_s,
                skipped=self.skipped,
            )

    def _streams(self, chosen: list[Contender]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Return what was measured overlapped, and one frame at a time."""
        overlapped, sequential = [], []
        for name, videos in self._videos():
            self.report(f"videos to video, {name}")
            streams, frames = measure_streams(
                chosen,
                self.weights,
                videos,
                name,
                folder=self.folder,
                threads=self.request.threads,
                least_s=self.request.effort.stream_s,
                skipped=self.skipped,
            )
            overlapped += [result.as_json() for result in streams]
            sequential += [result.as_json() for result in frames]
        return overlapped, sequential

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
    return {path.name: sha256(path) for path in weights.files if path.is_file()}


def stated_contender(contender: Contender, weights: Weights) -> Contender:
    """Return the contender with the precision that a user's file states, where it is of one."""
    if contender.baseline is not None:
        return contender
    name: str | None = None
    if contender.runner == "tensorrt" and weights.plan is not None:
        with suppress(BackendError):  # who opens the engine tells of it
            name = engine_facts(weights.plan).get("precision")
    elif contender.runner == "onnxruntime" and weights.onnx is not None:
        with suppress(WeightsError):  # likewise
            name = stated(weights.onnx).get(_PRECISION_KEY)
    return replace(contender, precision=Precision.__members__.get(name or "", contender.precision))


def _settings(request: LatencyRequest) -> dict[str, Any]:
    turns = request.effort.turns
    return {
        "task": request.task.name,
        "batch": request.batch,
        "scaling_size": list(request.effort.scaling.usual),
        "turns": turns.turns,
        "turn_least_s": turns.least_s,
        "turn_most_calls": turns.most_calls,
        "warm_up": "one call of each before the first turn; 50 ms before each turn of calls below 500 ms",
        "compiling": "torch.compile compiles for one size when it is opened (open_s), with an empty cache",
        "network_alone": "arrays of the host in and out: on a GPU with both copies, unlike TensorRT's stage "
        "network",
        "one_at_a_time": "decoders do not work ahead, x264 is tuned for zero latency as for live streams",
        "gpu_stages": "by events on the GPU, each of pre, network and post a CUDA graph of its own; "
        "upload and download with the copies into and out of page-locked memory",
    }


def _fastest(results: list[NetworkResult]) -> list[Contender]:
    """Return our fastest on each device of each model, of those that are taken without being asked for."""
    best: dict[tuple[Model, str], NetworkResult] = {}
    for result in results:
        contender, facts_of_backend = result.contender, BACKENDS.get(result.contender.runner)
        if facts_of_backend is None or not facts_of_backend.unasked:
            continue
        key = contender.model, contender.device
        if key not in best or result.samples.p50_ms < best[key].samples.p50_ms:
            best[key] = result
    return [result.contender for result in best.values()]
