"""Pairs of frames in, finished pictures out: pre-processing, network and post-processing of a batch."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from refusion.benchmarks.latency.contenders import Contender, Weights
from refusion.benchmarks.latency.executors import FrameRunner, opened, title_of
from refusion.benchmarks.latency.samples import Measured, Samples, Turns
from refusion.benchmarks.latency.skipped import Skipped, noted
from refusion.benchmarks.latency.stages import StagedSamples
from refusion.frames import Frame, FramePair
from refusion.models import Model
from refusion.stream.synthetic import SyntheticScene
from refusion.tasks import Chroma
from refusion.warp import Warp

WARPED = ", warped"
"""Ends the titles of what maps an infrared view of another size onto the visible one."""
_INFRARED_SIZE = (640, 512)
"""Of the common uncooled sensors of today."""
_ROTATION_DEGREES = 1.0
_FEWEST_FRAMES = 6
"""Of a stream: twice as many as are ever in flight."""


@dataclass(frozen=True)
class FrameResult:
    """One contender on batches of one size: gray and colour in, colour out, stretched."""

    title: str
    description: str
    size: tuple[int, int]
    batch: int
    samples: StagedSamples
    """On a CPU: pre, network, post; on a GPU also upload and download."""
    frames_per_s: float | None
    """Of a stream whose frames are at hand, stages overlapped; None where it was not measured."""

    def as_json(self) -> dict[str, Any]:
        """Return the result as JSON holds it."""
        return {
            "title": self.title,
            "description": self.description,
            "size": list(self.size),
            "batch": self.batch,
            **self.samples.as_json(),
            "pre_and_post": None if self.around is None else self.around.as_json(),
            "frame": self.samples.whole.as_json(),
            "stream_frames_per_s": None if self.frames_per_s is None else round(self.frames_per_s, 3),
        }

    @property
    def around(self) -> Samples | None:
        """Pre- and post-processing of each call together; None where they are not stages of their own."""
        stages = self.samples.stages
        if not {"pre", "post"} <= stages.keys():
            return None
        pre, post = stages["pre"].times_ms, stages["post"].times_ms
        return Samples(tuple(map(sum, zip(pre, post, strict=True))), turns=stages["pre"].turns)


def measure_frames(
    contenders: Sequence[Contender],
    weights: Mapping[Model, Weights],
    *,
    size: tuple[int, int],
    batch: int,
    threads: int,
    turns: Turns,
    stream_s: float,
    skipped: list[Skipped],
) -> list[FrameResult]:
    """Measure our backends in turns, and the stages around a network without one.

    Args:
        contenders: Those of our backends are measured.
        weights: Of their networks.
        size: Width and height.
        batch: Pairs at a time.
        threads: CPU threads of the network; 0 takes all cores.
        turns: How calls take turns.
        stream_s: How long each fuses a stream whose frames are at hand; 0: none does.
        skipped: Gets what could not run, and why.
    """
    scene = SyntheticScene(width_px=size[0], height_px=size[1])
    pairs = [scene.pair(10 * index) for index in range(batch)]
    with ExitStack() as stack:
        calls: list[_Call] = []
        for contender, is_warped in _forms(contenders):
            with noted(skipped, title_of(contender) + (WARPED if is_warped else ""), size):
                runner = stack.enter_context(
                    opened(
                        contender,
                        None if contender is None else weights[contender.model],
                        size=size,
                        batch=batch,
                        threads=threads,
                    )
                )
                call = _Call(runner, *_through_a_warp(pairs, size)) if is_warped else _Call(runner, pairs)
                # What cannot take this size says so now.
                call()
                calls.append(call)
        earlier = [call.stages_ms() for call in calls]
        measured = turns.take({call.title: call for call in calls})
        return [
            FrameResult(
                call.title,
                call.runner.description,
                size,
                batch,
                _staged(measured[call.title], call.stages_ms(), before),
                _frames_per_s(call, stream_s) if stream_s and batch == 1 else None,
            )
            for call, before in zip(calls, earlier, strict=True)
        ]


@dataclass(frozen=True)
class _Call:
    """Fuses the same batch at every call."""

    runner: FrameRunner
    pairs: Sequence[FramePair]
    warp: Warp | None = None

    @property
    def title(self) -> str:
        return self.runner.title + ("" if self.warp is None else WARPED)

    def __call__(self) -> None:
        self.runner.fuse(self.pairs, self.warp)

    def stages_ms(self) -> dict[str, list[float]]:
        return self.runner.clock.calls_ms()


def _forms(contenders: Sequence[Contender]) -> Iterator[tuple[Contender | None, bool]]:
    """Yield what is measured, and whether through a warp: pre-processing is the same for all on a CPU."""
    yield from ((None, False), (None, True))
    for contender in contenders:
        if contender.baseline is None:
            yield contender, False
            if contender.runner == "tensorrt":
                yield contender, True


def _through_a_warp(pairs: Sequence[FramePair], size: tuple[int, int]) -> tuple[list[FramePair], Warp]:
    """Return the pairs with infrared views as a camera beside the visible one has them, and the way back."""
    width, height = _INFRARED_SIZE
    angle = math.radians(_ROTATION_DEGREES)
    scale = np.array([[width / size[0], 0, 0], [0, height / size[1], 0], [0, 0, 1]])
    turn = np.array(
        [[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0], [0, 0, 1]]
    )
    warp = Warp.of_homography(turn @ scale, size=size, source_size=_INFRARED_SIZE)
    seen = [replace(pair, a=np.asarray(cv2.resize(pair.a, _INFRARED_SIZE), np.uint8)) for pair in pairs]
    return seen, warp


def _staged(
    measured: Measured, stages_ms: Mapping[str, Sequence[float]], before: Mapping[str, Sequence[float]]
) -> StagedSamples:
    """Return the measured calls with their stages, of which the clock knew some before."""
    new_ms = {name: values[len(before.get(name, ())) :] for name, values in stages_ms.items()}
    stages = {name: measured.samples_of(values) for name, values in new_ms.items()}
    return StagedSamples.of(measured.samples, stages)


def _frames_per_s(call: _Call, least_s: float) -> float:
    """Return the rate at which a stream comes out whose frames are at hand: its stages overlap."""
    start_s = time.perf_counter()

    def pairs() -> Iterator[tuple[Frame, Frame, Warp | None]]:
        (pair,) = call.pairs
        for number in itertools.count():
            if number >= _FEWEST_FRAMES and time.perf_counter() - start_s >= least_s:
                return
            yield pair.a, pair.b, call.warp

    count = sum(1 for _ in call.runner.stream(Chroma.B).frames(pairs()))
    return count / (time.perf_counter() - start_s)
