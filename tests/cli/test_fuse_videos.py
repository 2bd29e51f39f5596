"""`refusion fuse` on videos and on the synthetic scene."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refusion.stream.video import VideoReader, VideoWriter

Command = Callable[..., Any]
SCENE = "synthetic:?width=64&height=48&frames=3&rate=10"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C as at a prompt: what a shell starts in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_leaves_no_file_and_no_thread(cli: Command, tmp_path: Path) -> None:
    def interrupt() -> None:
        for _ in range(3000):
            if list(tmp_path.glob("*.partial.mp4")):
                time.sleep(0.3)
                os.kill(os.getpid(), signal.SIGINT)
                return
            time.sleep(0.01)

    before = set(threading.enumerate())
    waiting = threading.Thread(target=interrupt)
    waiting.start()
    long = SCENE.replace("frames=3", "frames=20000")
    outcome = cli("fuse", long, long, "-o", "fused.mp4", "--threads", "1")
    waiting.join()
    assert outcome.status == 130
    assert names(tmp_path) == []
    # One that the signal met while it was started ends by itself.
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
    assert set(threading.enumerate()) <= before


def test_synthetic_scene(cli: Command, tmp_path: Path) -> None:
    outcome = cli("fuse", SCENE, SCENE, "-o", "fused.mp4")
    assert (outcome.status, outcome.out, outcome.err) == (0, "wrote 3 frames to fused.mp4\n", "")
    with VideoReader("fused.mp4") as video:
        assert (video.frame_count, video.size, video.rate, video.has_colour) == (3, (64, 48), 10, True)
        assert [frame.shape for frame in video] == [(48, 64, 3)] * 3
    assert names(tmp_path) == ["fused.mp4"]


def test_two_videos_keep_size_rate_and_number_of_frames(cli: Command, videos: tuple[Path, Path]) -> None:
    outcome = cli("fuse", *videos, "-o", "fused.mp4")
    assert (outcome.status, outcome.out) == (0, "wrote 4 frames to fused.mp4\n")
    with VideoReader("fused.mp4") as fused, VideoReader(videos[0]) as source:
        assert (fused.size, fused.rate, fused.frame_count) == (source.size, source.rate, 4)
        assert fused.has_colour
        assert len(list(fused)) == 4


def test_two_gray_videos_give_a_gray_one(cli: Command, videos: tuple[Path, Path]) -> None:
    assert cli("fuse", videos[0], videos[0], "-o", "fused.mp4").status == 0
    with VideoReader("fused.mp4") as fused:
        assert not fused.has_colour


def test_an_output_is_replaced_by_force_alone(cli: Command, videos: tuple[Path, Path]) -> None:
    target = Path("fused.mp4")
    target.write_text("precious")
    outcome = cli("fuse", *videos, "-o", target)
    assert outcome.status == 1
    assert outcome.error_lines == ["error: fused.mp4 is there already; give --force to replace it"]
    assert target.read_text() == "precious"
    assert cli("fuse", *videos, "-o", target, "--force").status == 0
    with VideoReader(target) as fused:
        assert fused.frame_count == 4


def damaged_midway(path: Path) -> Path:
    """Write a noise video of 90 frames, with zeros over a part from its middle on."""
    random = np.random.default_rng(0)
    with VideoWriter(path, rate=25, size=(64, 48)) as writer:
        for _ in range(90):
            writer.write(random.integers(0, 256, (48, 64, 3), dtype=np.uint8))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 9000] = bytes(9000)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("target_before", [None, "precious"])
def test_damage_midway_leaves_nothing_behind(
    installed_cli: Command, tmp_path: Path, target_before: str | None
) -> None:
    damaged_midway(tmp_path / "a.mp4")
    target = tmp_path / "fused.mp4"
    if target_before is not None:
        target.write_text(target_before)
    before = names(tmp_path)
    outcome = installed_cli("fuse", "a.mp4", "a.mp4", "-o", "fused.mp4", "--force")
    assert (outcome.status, outcome.out) == (1, "")
    (line,) = outcome.error_lines
    assert line.startswith("error: a.mp4 is damaged or truncated at frame ")
    assert not line.startswith("error: a.mp4 is damaged or truncated at frame 0")
    assert names(tmp_path) == before
    assert target_before is None or target.read_text() == target_before
