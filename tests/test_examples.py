"""The example scripts run as they stand, on the built-in scene."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from refusion.files import read_image
from refusion.stream.video import VideoReader

EXAMPLES = Path(__file__).parents[1] / "examples"
FIGURES = EXAMPLES.parent / "docs" / "figures"


def run(name: str, folder: Path, *arguments: str, warnings: str = "error") -> str:
    done = subprocess.run(
        [sys.executable, "-W", warnings, EXAMPLES / name, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def is_the_picture_of_the_page(picture: Path) -> bool:
    """Tell whether a picture is that of the documentation, but for what compression and processors change."""
    shown = read_image(FIGURES / f"example_{picture.name}").astype(np.int16)
    made = read_image(picture)
    return made.shape == shown.shape and float(np.abs(made - shown).mean()) < 2


def test_live_cameras(tmp_path: Path) -> None:
    scene = "synthetic:?width=64&height=48&frames=3"
    printed = run("live_cameras.py", tmp_path, "--ir", scene, "--visible", scene, "--out", "kept.mp4")
    assert "2: fused (48, 64, 3)" in printed
    assert "3 frames fused" in printed
    with VideoReader(tmp_path / "kept.mp4") as video:
        assert len(list(video)) == 3


def test_hot_spots(tmp_path: Path) -> None:
    scene = "synthetic:?width=96&height=64&frames=3"
    assert "wrote marked.mp4" in run("hot_spots.py", tmp_path, "--ir", scene, "--visible", scene)
    with VideoReader(tmp_path / "marked.mp4") as video:
        assert len(list(video)) == 3


def test_calibrate_and_fuse(tmp_path: Path) -> None:
    printed = run("calibrate_and_fuse.py", tmp_path)
    assert "calibrated: residual 0." in printed
    assert len(list((tmp_path / "fused").glob("*.png"))) == 9
    assert is_the_picture_of_the_page(tmp_path / "calibrate_and_fuse.jpg")


def test_weight_maps(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    printed = run("weight_maps.py", tmp_path)
    assert printed.count("of the weight, 0.50 in the mean") == 4
    assert is_the_picture_of_the_page(tmp_path / "weight_maps.jpg")


def test_train_on_your_cameras(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    # PyTorch itself calls what it calls deprecated; the picture of the page is that of 40 steps.
    printed = run("train_on_your_cameras.py", tmp_path, "--steps", "1", warnings="default")
    assert "before SCD 1.5" in printed
    assert "after SCD 1.5" in printed
    assert read_image(tmp_path / "train_on_your_cameras.jpg").shape == (514, 1296, 3)
    assert (tmp_path / "runs" / "my_cameras" / "best.pt").is_file()
