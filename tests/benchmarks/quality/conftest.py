"""Small sets of pairs and of clips."""

from __future__ import annotations

from pathlib import Path

import pytest

from refusion.benchmarks.quality.sets import EvaluationSet, own_set
from refusion.files import write_image
from refusion.stream.synthetic import SyntheticScene
from refusion.stream.video_writer import VideoWriter
from refusion.tasks import Task

SCENE = SyntheticScene(width_px=64, height_px=48)


def write_pairs(a: Path, b: Path, count: int) -> None:
    """Write pairs 0 to count - 1 into two folders."""
    for folder in (a, b):
        folder.mkdir(parents=True)
    for index in range(count):
        pair = SCENE.pair(index)
        write_image(a / f"{index}.png", pair.a)
        write_image(b / f"{index}.png", pair.b)


def write_clip(a: Path, b: Path, frames: int) -> None:
    """Write the first frames of the scene as two videos."""
    a.parent.mkdir(parents=True, exist_ok=True)
    size, rate = (SCENE.width_px, SCENE.height_px), SCENE.rate_hz
    with VideoWriter(a, rate=rate, size=size) as writer_a, VideoWriter(b, rate=rate, size=size) as writer_b:
        for pair in SCENE.frames(frames):
            writer_a.write(pair.a)
            writer_b.write(pair.b)


@pytest.fixture
def stills(tmp_path: Path) -> EvaluationSet:
    """Three pairs of images, of 64x48."""
    write_pairs(tmp_path / "ir", tmp_path / "vis", 3)
    return own_set(tmp_path / "ir", tmp_path / "vis", Task.ivif)


@pytest.fixture
def clip(tmp_path: Path) -> EvaluationSet:
    """One clip of four frames, called night."""
    write_clip(tmp_path / "night.mp4", tmp_path / "visible.mp4", 4)
    return own_set(tmp_path / "night.mp4", tmp_path / "visible.mp4", Task.ivif)
