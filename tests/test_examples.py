"""The example scripts run as they stand, on the built-in scene."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from refusion.stream.video import VideoReader

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(name: str, folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / name, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


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
    assert "3 frames in fused" in printed
    assert len(list((tmp_path / "fused").glob("*.png"))) == 3
