"""Two video files in, an encoded one out, one frame at a time: nothing overlaps, and the stages add up.

Decoders do not work ahead and the encoder does not look ahead, so that each returns when a frame is done. The
encoder is set as for live streams, whose recordings hold nothing back.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refusion.benchmarks.latency.executors import FrameRunner
from refusion.benchmarks.latency.samples import Samples
from refusion.benchmarks.latency.stages import StagedSamples
from refusion.errors import InputError
from refusion.frames import FramePair, checked_frame
from refusion.stream.pairs import VideoPairs
from refusion.stream.video import VideoReader
from refusion.stream.video_writer import VideoWriter
from refusion.tasks import Chroma
from refusion.timing import StageClock

_FEWEST_FRAMES = 2


@dataclass(frozen=True)
class SequentialResult:
    """One contender on two videos, from asking for a frame until the encoder has taken the fused one."""

    title: str
    description: str
    videos: str
    size: tuple[int, int]
    samples: StagedSamples

    def as_json(self) -> dict[str, Any]:
        """Return the result as JSON holds it."""
        return {
            "title": self.title,
            "description": self.description,
            "videos": self.videos,
            "size": list(self.size),
            **self.samples.as_json(),
            "frame": self.samples.whole.as_json(),
        }


def measure_one_at_a_time(
    runner: FrameRunner, videos: tuple[Path, Path], name: str, *, target: Path, least_s: float
) -> SequentialResult:
    """Fuse frames one at a time for so long; the videos start again where they end sooner.

    The first frame of each round is not measured: readers have it ready when they are opened.

    Args:
        runner: What fuses.
        videos: Sources a and b, checked to fit.
        name: What tables call them.
        target: Where the result is written, and removed again.
        least_s: How long.

    Raises:
        InputError: The videos cannot be read.
    """
    with VideoPairs(*videos) as source:
        size, chroma = source.size, source.chroma
    stages_ms: defaultdict[str, list[float]] = defaultdict(list)
    whole_ms: list[float] = []
    end_s = time.perf_counter() + least_s
    while not whole_ms or time.perf_counter() < end_s:
        round_ms, round_stages_ms = _round(runner, videos, chroma, target, end_s)
        if not round_ms:
            raise InputError(f"the videos {name} have too few frames to be timed one at a time: one, or none")
        whole_ms += round_ms
        for stage, values in round_stages_ms.items():
            stages_ms[stage] += values
    target.unlink()
    stages = {
        stage: Samples(tuple(values)) for stage, values in stages_ms.items() if len(values) == len(whole_ms)
    }
    samples = StagedSamples.of(Samples(tuple(whole_ms)), stages)
    return SequentialResult(runner.title, runner.description, name, size, samples)


def _round(
    runner: FrameRunner, videos: tuple[Path, Path], chroma: Chroma, target: Path, end_s: float
) -> tuple[list[float], dict[str, list[float]]]:
    """Return how long each frame of one round but the first took, and its stages, milliseconds."""
    clock = StageClock()
    times_ms: list[float] = []
    with VideoReader(videos[0], ahead=False) as a, VideoReader(videos[1], ahead=False) as b:
        a.luma, b.luma = not a.has_colour, not b.has_colour
        with VideoWriter(target, rate=a.rate, size=a.size, force=True, keep=True) as writer:
            stream = runner.stream(chroma)
            while len(times_ms) < _FEWEST_FRAMES or time.perf_counter() < end_s:
                started = time.perf_counter()
                with clock.stage("decode a"):
                    frame_a = next(a, None)
                with clock.stage("decode b"):
                    frame_b = next(b, None)
                if frame_a is None or frame_b is None:
                    break
                with clock.stage("pair"):
                    pair = FramePair(checked_frame(frame_a, "a"), checked_frame(frame_b, "b"), a.time_ns)
                fused = stream(pair.a, pair.b)
                with clock.stage("encode"):
                    writer.write(fused, time_ns=pair.time_ns)
                times_ms.append(1e3 * (time.perf_counter() - started))
    count = len(times_ms)
    # Of what the runner's clock knows, the latest are of this round; of decoding it may know from elsewhere,
    # and of encoding. The end of a video was looked for as well.
    of_runner = {
        stage: values[len(values) - count :][1:] for stage, values in runner.clock.calls_ms().items()
    }
    return times_ms[1:], of_runner | {stage: values[1:count] for stage, values in clock.calls_ms().items()}
