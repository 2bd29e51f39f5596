"""Two video files in, an encoded one out: all stages overlapped, as `refusion fuse` runs them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from refusion.benchmarks.latency.contenders import Contender, Weights
from refusion.benchmarks.latency.executors import FrameRunner, opened, title_of
from refusion.benchmarks.latency.one_at_a_time import SequentialResult, measure_one_at_a_time
from refusion.benchmarks.latency.samples import Samples
from refusion.benchmarks.latency.skipped import Skipped, noted
from refusion.benchmarks.latency.stages import STAGES
from refusion.models import Model
from refusion.stream.background_writer import BackgroundWriter
from refusion.stream.pairs import VideoPairs, fused_pairs
from refusion.stream.synthetic import SyntheticScene
from refusion.stream.video_writer import VideoWriter


@dataclass(frozen=True)
class VideoRun:
    """One video fused, from opening the two files until the third is closed."""

    frames: int
    seconds: float
    processor_s: float


@dataclass(frozen=True)
class StreamResult:
    """One contender on two videos."""

    title: str
    description: str
    videos: str
    size: tuple[int, int]
    runs: tuple[VideoRun, ...]
    stages: dict[str, Samples]

    def as_json(self) -> dict[str, Any]:
        """Return the result as JSON holds it; its rate is that of all runs together."""
        frames = sum(run.frames for run in self.runs)
        return {
            "title": self.title,
            "description": self.description,
            "videos": self.videos,
            "size": list(self.size),
            "frames_per_s": round(frames / sum(run.seconds for run in self.runs), 3),
            "processor_ms_per_frame": round(1e3 * sum(run.processor_s for run in self.runs) / frames, 3),
            "runs": [vars(run) for run in self.runs],
            "stages": {name: samples.as_json() for name, samples in self.stages.items()},
        }


def render_videos(folder: Path, size: tuple[int, int], frames: int) -> tuple[Path, Path]:
    """Write what both cameras of the synthetic scene see, and return the two H.264 files."""
    scene = SyntheticScene(width_px=size[0], height_px=size[1])
    a, b = (folder / f"{name}-{size[0]}x{size[1]}.mp4" for name in ("infrared", "visible"))
    rate = Fraction(scene.rate_hz)
    with VideoWriter(a, rate=rate, size=size) as writer_a, VideoWriter(b, rate=rate, size=size) as writer_b:
        for pair in scene.frames(frames):
            writer_a.write(pair.a)
            writer_b.write(pair.b)
    return a, b


def measure_streams(
    contenders: Sequence[Contender],
    weights: Mapping[Model, Weights],
    videos: tuple[Path, Path],
    name: str,
    *,
    folder: Path,
    threads: int,
    least_s: float,
    skipped: list[Skipped],
) -> tuple[list[StreamResult], list[SequentialResult]]:
    """Fuse two videos with each contender, and without a network: overlapped, then one frame at a time.

    Args:
        contenders: Those of our backends are measured.
        weights: Of their networks.
        videos: Sources a and b.
        name: What tables call them.
        folder: Where the results are written, and removed again.
        threads: CPU threads of the network; 0 takes all cores.
        least_s: Frames are fused for so long, and half as long one at a time; where the videos are over
            sooner, several times.
        skipped: Gets what could not run, and why.

    Raises:
        InputError: The videos cannot be read, or do not fit.
    """
    with VideoPairs(*videos) as source:
        size = source.size
    overlapped, sequential = [], []
    target = folder / "fused.mp4"
    for contender in [None, *(one for one in contenders if one.baseline is None)]:
        files = None if contender is None else weights[contender.model]
        with (
            noted(skipped, f"{title_of(contender)}, {name}", size),
            opened(contender, files, size=size, threads=threads) as runner,
        ):
            overlapped.append(_measure(runner, videos, name, size, target, least_s))
            sequential.append(measure_one_at_a_time(runner, videos, name, target=target, least_s=least_s / 2))
    return overlapped, sequential


def _measure(
    runner: FrameRunner,
    videos: tuple[Path, Path],
    name: str,
    size: tuple[int, int],
    target: Path,
    least_s: float,
) -> StreamResult:
    with VideoPairs(*videos) as source:
        runner.fuse([next(iter(source))])
    before = {stage: len(values) for stage, values in runner.clock.calls_ms().items()}
    runs: list[VideoRun] = []
    while not runs or sum(run.seconds for run in runs) < least_s:
        runs.append(_fuse(runner, videos, target, least_s))
    target.unlink()
    times_ms = runner.clock.calls_ms()
    # What an executor tells besides, such as waits, is none of the stages.
    stages = {
        stage: Samples(tuple(times_ms[stage][before.get(stage, 0) :]))
        for stage in STAGES
        if stage in times_ms
    }
    return StreamResult(runner.title, runner.description, name, size, tuple(runs), stages)


def _fuse(runner: FrameRunner, videos: tuple[Path, Path], target: Path, most_s: float) -> VideoRun:
    """Fuse the videos; after so many seconds no more pairs are taken, but for the first."""
    processor_s, start_s = time.process_time(), time.perf_counter()
    with (
        VideoPairs(*videos, clock=runner.clock) as source,
        VideoWriter(target, rate=source.rate, size=source.size, force=True) as writer,
        BackgroundWriter(writer, clock=runner.clock) as encoder,
    ):
        pairs = itertools.takewhile(
            lambda pair: pair.time_ns == 0 or time.perf_counter() - start_s < most_s, source
        )
        for pair, frame in fused_pairs(pairs, runner.stream(source.chroma)):
            encoder.write(frame, time_ns=pair.time_ns)
    seconds = time.perf_counter() - start_s
    return VideoRun(writer.frame_count, seconds, time.process_time() - processor_s)
