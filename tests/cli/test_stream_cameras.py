"""`refusion stream` on real RTSP streams: what ends it, what does not, and what is kept."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rtsp_process import RtspServer, missing_reason

from refusion.stream.synthetic import SyntheticScene
from refusion.stream.video import VideoReader
from refusion.stream.video_writer import VideoWriter

pytestmark = pytest.mark.skipif(missing_reason() is not None, reason=str(missing_reason()))


def clip(path: Path, *, size: tuple[int, int], infrared: bool, frames: int = 25) -> Path:
    scene = SyntheticScene(width_px=size[0], height_px=size[1])
    with VideoWriter(path, rate=25, size=size) as writer:
        for pair in scene.frames(frames):
            writer.write(pair.a if infrared else pair.b)
    return path


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Infrared, visible, and infrared of another size."""
    folder = tmp_path_factory.mktemp("clips")
    return (
        clip(folder / "ir.mp4", size=(64, 48), infrared=True),
        clip(folder / "visible.mp4", size=(96, 64), infrared=False),
        clip(folder / "larger.mp4", size=(80, 60), infrared=True),
    )


@pytest.fixture(scope="module")
def visible(clips: tuple[Path, Path, Path]) -> Iterator[RtspServer]:
    with RtspServer("--mount", f"visible={clips[1]}") as server:
        yield server


def stream_of(*arguments: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "refusion", "stream", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_wrong_password_is_one_line_without_the_password(
    clips: tuple[Path, Path, Path], visible: RtspServer, tmp_path: Path
) -> None:
    with RtspServer("--mount", f"ir={clips[0]}", "--user", "me", "--password", "right") as infrared:
        process = stream_of(
            *("--ir", infrared.url("ir", "me:secret@"), "--visible", visible.url("visible")),
            *("--out", tmp_path / "out.mp4"),
        )
        printed, problems = process.communicate(timeout=60)
    assert process.returncode == 1
    (line,) = [line for line in problems.splitlines() if line.startswith("error: ")]
    assert "password" in line
    assert "secret" not in problems + printed
    assert list(tmp_path.iterdir()) == []


def test_stream_that_changes_its_size_ends_with_one_line_and_keeps_the_file(
    clips: tuple[Path, Path, Path], visible: RtspServer, tmp_path: Path
) -> None:
    out = tmp_path / "out.mp4"
    with RtspServer("--mount", f"ir={clips[0]},{clips[2]}") as infrared:
        process = stream_of("--ir", infrared.url("ir"), "--visible", visible.url("visible"), "--out", out)
        _, problems = process.communicate(timeout=60)
    assert process.returncode == 1
    (line,) = [line for line in problems.splitlines() if line.startswith("error: ")]
    assert "64x48" in line
    assert "80x60" in line
    with VideoReader(out) as video:
        assert video.size == (96, 64)
        assert len(list(video)) > 0


def test_camera_that_dies_and_comes_back_is_shown_alone_meanwhile(
    clips: tuple[Path, Path, Path], visible: RtspServer, tmp_path: Path
) -> None:
    out, report = tmp_path / "out.mp4", tmp_path / "report.json"
    with RtspServer("--mount", f"ir={clips[0]}") as infrared:
        process = stream_of(
            *("--ir", infrared.url("ir"), "--visible", visible.url("visible")),
            *("--out", out, "--report", report),
        )
        assert process.stderr is not None
        seen = []

        def wait_for(words: str) -> None:
            for line in process.stderr or ():
                seen.append(line)
                if words in line:
                    return
            raise AssertionError(f"never said: {words}\n{''.join(seen)}")

        wait_for("infrared: frames of")
        time.sleep(1.5)
        infrared.kill()
        wait_for("trying again")
        infrared.start()
        wait_for("infrared: frames of")
        time.sleep(1.5)
        process.send_signal(signal.SIGTERM)
        _, problems = process.communicate(timeout=60)
    assert process.returncode == 0, problems
    figures = json.loads(report.read_text())
    assert figures["frames"]["fused"] > 0
    assert figures["frames"]["single"] > 0
    assert figures["sources"][0]["reconnects"] == 1
    assert [event["state"] for event in figures["events"] if event["source"] == "infrared"].count("lost") == 1
    assert figures["latency"]["p50_ms"] > 0
    with VideoReader(out) as video:
        count = len(list(video))
    # A disk that is slow may drop frames of a live stream; they are counted.
    frames = figures["frames"]
    assert count + frames["dropped_by_sinks"] == frames["fused"] + frames["single"]
