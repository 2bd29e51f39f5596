"""Writing videos: targets stay whole, and what fails loses nothing that it could keep."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from refusion.errors import InputError, OutputError, UsageError
from refusion.stream.video import VideoReader, VideoWriter

FRAME = np.full((32, 32, 3), (1, 2, 3), np.uint8)


def test_target_is_kept_without_force(tmp_path: Path) -> None:
    path = tmp_path / "kept.mp4"
    path.write_bytes(b"precious")
    with pytest.raises(OutputError, match=r"kept\.mp4 is there already; give --force to replace it"):
        VideoWriter(path, rate=25, size=(32, 32))
    assert path.read_bytes() == b"precious"
    with VideoWriter(path, rate=25, size=(32, 32), force=True) as writer:
        writer.write(FRAME)
    assert [entry.name for entry in tmp_path.iterdir()] == ["kept.mp4"]
    with VideoReader(path) as reader:
        assert len(list(reader)) == 1


def test_target_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "race.mp4"
    writer = VideoWriter(path, rate=25, size=(32, 32))
    writer.write(FRAME)
    path.write_bytes(b"precious")
    with pytest.raises(OutputError, match="is there already"):
        writer.close()
    assert path.read_bytes() == b"precious"


@pytest.mark.parametrize("before", [None, b"precious"])
def test_exception_leaves_the_target_as_it_was(tmp_path: Path, before: bytes | None) -> None:
    path = tmp_path / "half.mp4"
    if before is not None:
        path.write_bytes(before)

    def interrupted() -> None:
        with VideoWriter(path, rate=25, size=(32, 32), force=True) as writer:
            writer.write(FRAME)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [entry.read_bytes() for entry in tmp_path.iterdir()] == ([] if before is None else [before])


_ENDLESS = """
import sys
import numpy as np
from refusion.stream.video import VideoWriter

rng = np.random.default_rng(0)
with VideoWriter(sys.argv[1], rate=10, size=(96, 64), force=True) as writer:
    while True:
        writer.write(rng.integers(0, 256, (64, 96, 3), dtype=np.uint8))
        if writer.frame_count % 200 == 0:
            print(writer.frame_count, flush=True)
"""


def test_killed_writer_leaves_target_and_a_playable_part(tmp_path: Path) -> None:
    path = tmp_path / "killed.mp4"
    path.write_bytes(b"precious")
    child = subprocess.Popen([sys.executable, "-c", _ENDLESS, str(path)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    with child.stdout:
        assert child.stdout.readline() == b"200\n"
        child.send_signal(signal.SIGKILL)
        child.wait(timeout=10)
    assert path.read_bytes() == b"precious"
    (part,) = [entry for entry in tmp_path.iterdir() if entry != path]
    assert part.name == f"killed.{child.pid}.partial.mp4"
    decoded = 0
    with av.open(str(part)) as container:
        try:
            for _ in container.decode(video=0):
                decoded += 1
        except av.FFmpegError:
            pass  # The last fragment may be cut.
    assert decoded >= 100


def test_a_part_that_another_process_of_this_number_left_is_kept(tmp_path: Path) -> None:
    """In a container, the process of each start may have the same number."""
    part = tmp_path / f"out.{os.getpid()}.partial.mp4"
    part.write_bytes(b"a recording")
    path = tmp_path / "out.mp4"
    with VideoWriter(path, rate=25, size=(32, 32)) as writer:
        writer.write(np.zeros((32, 32), np.uint8))
        with pytest.raises(KeyError), VideoWriter(path, rate=25, size=(32, 32)):
            raise KeyError
    assert part.read_bytes() == b"a recording"
    assert sorted(tmp_path.iterdir()) == [part, path]


def test_the_longest_name_is_written(tmp_path: Path) -> None:
    path = tmp_path / f"{'x' * 251}.mp4"
    with VideoWriter(path, rate=25, size=(32, 32)) as writer:
        writer.write(np.zeros((32, 32), np.uint8))
    assert list(tmp_path.iterdir()) == [path]


def test_slow_stream_is_on_the_disk_two_seconds_later(tmp_path: Path) -> None:
    """Frames that come seldom must not wait for the number of frames that two seconds usually have."""
    writer = VideoWriter(tmp_path / "slow.mp4", rate=25, size=(96, 64), keep=True)
    for index in range(20):
        writer.write(np.full((64, 96), 10 * index, np.uint8), time_ns=index * 800_000_000)
    (part,) = tmp_path.glob("*.partial.mp4")
    killed = tmp_path / "killed.mp4"
    killed.write_bytes(part.read_bytes())
    writer.close()
    with av.open(str(killed)) as container:
        times_s = [float(frame.time) for frame in container.decode(video=0)]
    assert times_s[-1] >= 19 * 0.8 - 3.2
    with VideoReader(tmp_path / "slow.mp4") as video:
        assert len(list(video)) == 20


_FULL_DISK = """
import resource, signal, sys
import numpy as np
from refusion.errors import OutputError
from refusion.stream.video import VideoWriter

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
rng = np.random.default_rng(0)
try:
    with VideoWriter(sys.argv[1], rate=10, size=(96, 64), keep=sys.argv[2:] == ["keep"]) as writer:
        for _ in range(200):
            writer.write(rng.integers(0, 256, (64, 96, 3), dtype=np.uint8))
except OutputError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits the file size as POSIX does")
def test_full_disk(tmp_path: Path) -> None:
    path = tmp_path / "full.mp4"
    done = subprocess.run(
        [sys.executable, "-c", _FULL_DISK, str(path)], capture_output=True, text=True, check=True, timeout=60
    )
    assert re.fullmatch(r".*full\.mp4 cannot be written: File too large\n", done.stdout), done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="limits the file size as POSIX does")
def test_full_disk_keeps_what_was_written_of_a_recording(tmp_path: Path) -> None:
    path = tmp_path / "full.mp4"
    command = [sys.executable, "-c", _FULL_DISK, str(path), "keep"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.endswith(f"File too large; what was written until then is in {path}\n"), done.stderr
    assert list(tmp_path.iterdir()) == [path]
    with VideoReader(path) as video:
        assert len(list(video)) >= 20  # whole fragments of 20 frames


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing/out.mp4", "cannot be written: there is no folder"),
        ("out.avi", "videos are written as MP4, so name it NAME.mp4"),
        ("folder.mp4", "cannot be written: it is a folder"),
        ("x" * 300 + ".mp4", "cannot be written: File name too long"),
    ],
)
def test_target_that_cannot_be(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(OutputError, match=message):
        VideoWriter(tmp_path / name, rate=25, size=(32, 32), force=True)


def test_folder_without_write_permission() -> None:
    # Not even root may create files here.
    folder = Path("/proc/self")
    if not folder.is_dir():
        pytest.skip("there is no /proc on this system")
    with pytest.raises(OutputError, match=r"/proc/self/out\.mp4 cannot be written: "):
        VideoWriter(folder / "out.mp4", rate=25, size=(32, 32))


@pytest.mark.parametrize(
    ("rate", "size", "message"),
    [
        (0, (32, 32), "frame rate must be positive, not 0"),
        (-25, (32, 32), "frame rate must be positive, not -25"),
        (float("nan"), (32, 32), "frame rate must be positive, not nan"),
        (25, (0, 32), "size must be positive, not 0x32"),
    ],
)
def test_bad_settings(tmp_path: Path, rate: float, size: tuple[int, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        VideoWriter(tmp_path / "out.mp4", rate=rate, size=size)
    assert list(tmp_path.iterdir()) == []


def test_frame_of_other_size(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match=r"out\.mp4 is 32x24, but the frame is 24x32"),
        VideoWriter(tmp_path / "out.mp4", rate=25, size=(32, 24)) as writer,
    ):
        writer.write(FRAME[:, :24])


def test_no_frames_is_an_error(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match=r"out\.mp4 was not written: it got no frames"),
        VideoWriter(tmp_path / "out.mp4", rate=25, size=(32, 32)),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_closing_twice_is_harmless(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "out.mp4", rate=25, size=(32, 32))
    writer.write(FRAME)
    writer.close()
    writer.close()
    with pytest.raises(UsageError, match="is closed"):
        writer.write(FRAME)
    reader = VideoReader(tmp_path / "out.mp4")
    reader.close()
    reader.close()
    assert list(reader) == []
