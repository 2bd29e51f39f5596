"""A small archive."""

from __future__ import annotations

from pathlib import Path

import pytest

from refusion.batch.job import Job
from refusion.files import write_image
from refusion.stream.synthetic import SyntheticScene

PAIRS = 6


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A folder with ir/ and vis/, PAIRS pairs, two of them one folder deeper."""
    scene = SyntheticScene(width_px=64, height_px=48)
    for index in range(PAIRS):
        pair = scene.pair(index)
        name = f"day/{index}.png" if index >= 4 else f"{index}.png"
        for folder, image in (("ir", pair.a), ("vis", pair.b)):
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_image(path, image)
    return tmp_path


@pytest.fixture
def job(archive: Path) -> Job:
    folders = (str(archive / "ir"), str(archive / "vis"))
    return Job(str(archive / "fused"), folders, model="lite", device="cpu", tries=2)
