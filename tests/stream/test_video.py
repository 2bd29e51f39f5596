"""Video files: what is written comes back, and nothing is lost in silence."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from refusion.errors import InputError, OutputError, UsageError
from refusion.frames import Frame
from refusion.stream.video import VideoReader, VideoWriter

COLOURS = [(0, 0, 0), (255, 255, 255), (0, 0, 255), (0, 255, 0), (255, 0, 0), (200, 100, 30), (40, 90, 220)]


def flat(colour: tuple[int, int, int], size: tuple[int, int]) -> Frame:
    return np.full((size[1], size[0], 3), colour, np.uint8)


def noise_frames(count: int, size: tuple[int, int] = (96, 64)) -> list[Frame]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8) for _ in range(count)]


def encode(path: Path, container_format: str, frames: list[Frame], *, movflags: str = "") -> Path:
    """Write a file as other programs do."""
    options = {"movflags": movflags} if movflags else {}
    with av.open(str(path), "w", format=container_format, options=options) as container:
        stream = container.add_stream(
            "libx264", rate=25, options={"crf": "18", "preset": "ultrafast", "g": "25"}
        )
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="bgr24")))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    "size", [(64, 48), (65, 47), (1, 1), (64, 720)], ids=lambda size: f"{size[0]}x{size[1]}"
)
def test_flat_colours_come_back(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "flat.mp4"
    with VideoWriter(path, rate=Fraction(30000, 1001), size=size) as writer:
        for colour in COLOURS:
            writer.write(flat(colour, size))
    with VideoReader(path) as reader:
        assert (reader.size, reader.rate, reader.frame_count) == (size, Fraction(30000, 1001), len(COLOURS))
        assert reader.has_colour
        assert not reader.is_gray
        for index, (frame, colour) in enumerate(zip(reader, COLOURS, strict=True)):
            assert frame.shape == (size[1], size[0], 3)
            assert np.abs(frame.astype(int) - colour).max() <= 3
            assert abs(reader.time_ns - index * 1001 / 30000 * 1e9) <= 1


@pytest.mark.parametrize(("height", "code"), [(480, 6), (720, 1)])
def test_colour_tags_follow_the_size(tmp_path: Path, height: int, code: int) -> None:
    with VideoWriter(tmp_path / "tags.mp4", rate=25, size=(64, height)) as writer:
        writer.write(flat((10, 20, 30), (64, height)))
    with av.open(str(tmp_path / "tags.mp4")) as container:
        frame = next(container.decode(video=0))
        assert (frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range) == (
            code,
            code,
            code,
            1,
        )


def test_gray_frames_stay_exactly_gray(tmp_path: Path) -> None:
    path = tmp_path / "gray.mp4"
    ramp = np.tile(np.arange(256, dtype=np.uint8), (48, 1))
    with VideoWriter(path, rate=25, size=(256, 48)) as writer:
        writer.write(ramp)
        writer.write(np.dstack([ramp] * 3)[:, ::-1])
    with VideoReader(path) as reader:
        assert not reader.has_colour
        for frame, expected in zip(reader, (ramp, ramp[:, ::-1]), strict=True):
            assert np.ptp(frame, axis=2).max() == 0
            assert np.abs(frame[..., 0].astype(int) - expected).max() <= 4


def test_colour_that_comes_late_is_found(tmp_path: Path) -> None:
    path = tmp_path / "late.mp4"
    with VideoWriter(path, rate=25, size=(32, 32)) as writer:
        for index in range(360):
            writer.write(flat((0, 0, 200) if index >= 290 else (90, 90, 90), (32, 32)))
    with VideoReader(path) as reader:
        next(iter(reader))
        assert reader.has_colour
        assert sum(1 for _ in reader) == 359


def test_frames_keep_their_own_times(tmp_path: Path) -> None:
    times_ns = [7_000_000_000, 7_040_000_000, 7_200_000_000, 7_213_000_000]
    with VideoWriter(tmp_path / "live.mp4", rate=25, size=(32, 32)) as writer:
        for time_ns in times_ns:
            writer.write(flat((1, 2, 3), (32, 32)), time_ns=time_ns)
    with VideoReader(tmp_path / "live.mp4") as reader:
        found = [reader.time_ns for _ in reader]
    np.testing.assert_allclose(found, np.array(times_ns) - times_ns[0], atol=400_000)


@pytest.mark.parametrize(("pixel_format", "dtype"), [("gray", np.uint8), ("gray16le", np.uint16)])
def test_gray_pixel_formats_give_planes(tmp_path: Path, pixel_format: str, dtype: type[np.generic]) -> None:
    plane = np.random.default_rng(1).integers(0, np.iinfo(dtype).max, (20, 30)).astype(dtype)
    path = tmp_path / "gray.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 30, 20, pixel_format
        container.mux(stream.encode(av.VideoFrame.from_ndarray(plane, format=pixel_format)))
        container.mux(stream.encode(None))
    with VideoReader(path) as reader:
        assert (reader.is_gray, reader.has_colour, reader.size) == (True, False, (30, 20))
        (frame,) = list(reader)
    np.testing.assert_array_equal(frame, plane)


def test_rotation_is_applied(tmp_path: Path) -> None:
    path = tmp_path / "phone.mp4"
    picture = flat((128, 128, 128), (64, 32))
    picture[:, :16] = (0, 0, 255)
    with VideoWriter(path, rate=25, size=(64, 32)) as writer:
        writer.write(picture)
    data = bytearray(path.read_bytes())
    # The last track header's matrix, 16.16 fixed point: a quarter turn clockwise, as phones note it.
    matrix = data.rindex(b"tkhd") + 4 + 40
    quarter = (0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)
    data[matrix : matrix + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in quarter)
    path.write_bytes(data)
    with VideoReader(path) as reader:
        assert reader.size == (32, 64)
        (frame,) = list(reader)
    assert frame[4, 16, 2] > 200  # What was left is on top.
    assert abs(int(frame[60, 16, 2]) - 128) < 10


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("text.mp4", b"not a video\n" * 50, "is not a video, or is truncated"),
        ("empty.mp4", b"", "is not a video, or is truncated"),
        ("none.mp4", None, "there is no video"),
    ],
)
def test_no_video(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{message}|{name} {message}") as caught:
        VideoReader(tmp_path / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_folder_is_no_video(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder, not a video"):
        VideoReader(tmp_path)


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    with pytest.raises(InputError, match=r"sound\.mp4 has no video stream"):
        VideoReader(path)


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.97])
@pytest.mark.parametrize(
    ("name", "container_format", "movflags"),
    [
        ("index-last.mp4", "mp4", ""),
        ("index-first.mp4", "mp4", "faststart"),
        ("fragments.mp4", "mp4", "frag_keyframe+empty_moov+default_base_moof"),
        ("clip.mkv", "matroska", ""),
        ("clip.avi", "avi", ""),
        ("clip.ts", "mpegts", ""),
    ],
)
def test_truncated_file_is_an_error(
    tmp_path: Path, name: str, container_format: str, movflags: str, kept: float
) -> None:
    path = encode(tmp_path / name, container_format, noise_frames(60), movflags=movflags)
    with VideoReader(path) as reader:
        assert sum(1 for _ in reader) == 60
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with (
        pytest.raises(InputError, match=rf"{re.escape(name)} is (damaged or )?truncated"),
        VideoReader(path) as reader,
    ):
        list(reader)


def test_video_without_frames(tmp_path: Path) -> None:
    path = tmp_path / "hollow.y4m"
    path.write_bytes(b"YUV4MPEG2 W32 H32 F25:1 Ip C420jpeg\n")
    with pytest.raises(InputError, match=r"hollow\.y4m has a video stream, but no frames in it"):
        VideoReader(path)


def test_target_is_kept_without_force(tmp_path: Path) -> None:
    path = tmp_path / "kept.mp4"
    path.write_bytes(b"precious")
    with pytest.raises(OutputError, match=r"kept\.mp4 is there already; give --force to replace it"):
        VideoWriter(path, rate=25, size=(32, 32))
    assert path.read_bytes() == b"precious"
    with VideoWriter(path, rate=25, size=(32, 32), force=True) as writer:
        writer.write(flat((1, 2, 3), (32, 32)))
    assert [entry.name for entry in tmp_path.iterdir()] == ["kept.mp4"]
    with VideoReader(path) as reader:
        assert len(list(reader)) == 1


def test_target_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "race.mp4"
    writer = VideoWriter(path, rate=25, size=(32, 32))
    writer.write(flat((1, 2, 3), (32, 32)))
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
            writer.write(flat((1, 2, 3), (32, 32)))
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
        writer.write(flat((1, 2, 3), (24, 32)))


def test_no_frames_is_an_error(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match=r"out\.mp4 was not written: it got no frames"),
        VideoWriter(tmp_path / "out.mp4", rate=25, size=(32, 32)),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_closing_twice_is_harmless(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "out.mp4", rate=25, size=(32, 32))
    writer.write(flat((1, 2, 3), (32, 32)))
    writer.close()
    writer.close()
    with pytest.raises(UsageError, match="is closed"):
        writer.write(flat((1, 2, 3), (32, 32)))
    reader = VideoReader(tmp_path / "out.mp4")
    reader.close()
    reader.close()
    assert list(reader) == []


@pytest.mark.parametrize("clip", ["0111_1716", "0111_1753", "0114_1551", "0115_1834"])
@pytest.mark.parametrize(("source", "colour"), [("ir", False), ("vis", True)])
def test_real_clips(shared: Path, clip: str, source: str, colour: bool) -> None:
    with VideoReader(shared / "data" / "video" / clip / f"{source}.mp4") as reader:
        assert (reader.rate, reader.size, reader.frame_count) == (25, (640, 480), 20)
        assert reader.has_colour is colour
        frames = list(reader)
        assert reader.time_ns == 760_000_000
    assert len(frames) == 20
    assert all(bool(np.ptp(frame, axis=2).any()) is colour for frame in frames)
