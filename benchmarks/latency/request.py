"""What the latency benchmark is asked for, and how long it measures."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from refusion.benchmarks.latency.precisions import Precision
from refusion.benchmarks.latency.samples import Turns
from refusion.benchmarks.latency.scaling import ScalingPlan
from refusion.models import Model
from refusion.tasks import Task


@dataclass(frozen=True)
class Effort:
    """How long is measured."""

    turns: Turns = field(default_factory=Turns)
    power_s: float = 3.0
    """Of each network alone, where something tells its power."""
    hand_s: float = 1.0
    """Of each stream whose frames are at hand."""
    stream_s: float = 6.0
    video_frames: int = 100
    """Of rendered videos."""
    scaling: ScalingPlan = field(default_factory=ScalingPlan)


QUICK = Effort(
    Turns(2, least_s=0.1, most_calls=5),
    power_s=1.0,
    hand_s=0.2,
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
    """None: all that run on the devices."""
    devices: tuple[str, ...] | None = None
    """None: the CPU, and the GPU where there is one."""
    precisions: tuple[Precision, ...] = tuple(Precision)
    """With a file of weights for one precision, that one is measured whatever is said here."""
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
