"""Video files: what is written comes back, and nothing is lost in silence."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from refusion.errors import InputError
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


@pytest.mark.parametrize("name", ["2026-11-23T12:30:00.mp4", "http:x.mp4", "50%d?x=1#2.mp4", "a\udcff.mp4"])
def test_names_that_look_like_addresses(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with VideoWriter(name, rate=25, size=(32, 32)) as writer:
        writer.write(np.zeros((32, 32), np.uint8))
    assert [path.name for path in tmp_path.iterdir()] == [name]
    with VideoReader(name) as video:
        assert len(list(video)) == 1


def test_a_file_cannot_name_another(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "private.mp4", rate=25, size=(32, 32)) as writer:
        writer.write(np.zeros((32, 32), np.uint8))
    (tmp_path / "a.mp4").write_text("ffconcat version 1.0\nfile private.mp4\n")
    with pytest.raises(InputError, match=r"a\.mp4 is a list of other files, not a video"):
        VideoReader(tmp_path / "a.mp4")


def test_decoding_ahead_changes_no_frame(tmp_path: Path) -> None:
    path = encode(tmp_path / "noise.mp4", "mp4", noise_frames(12))
    with VideoReader(path) as ahead, VideoReader(path, ahead=False) as alone:
        assert alone.has_colour
        for one, other in zip(ahead, alone, strict=True):
            np.testing.assert_array_equal(one, other)
            assert ahead.time_ns == alone.time_ns


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


CODECS = {"nv12": "rawvideo", "yuvj420p": "mjpeg"}


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuvj420p", "yuv444p", "nv12", "yuv420p10le", "bgr0"])
def test_luma_alone_is_what_neutral_colours_have(tmp_path: Path, pixel_format: str) -> None:
    # 48 wide: FFmpeg 8.1 converts 1 in 60 pictures of 34 to 10 bits with a few wrong pixels.
    plane = np.tile(np.linspace(0, 255, 48).round().astype(np.uint8), (21, 1))
    path = tmp_path / "neutral.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(CODECS.get(pixel_format, "ffv1"), rate=10)
        stream.width, stream.height, stream.pix_fmt = 48, 21, pixel_format
        picture = av.VideoFrame.from_ndarray(np.dstack([plane] * 3), format="bgr24")
        container.mux(stream.encode(picture.reformat(format=pixel_format)))
        container.mux(stream.encode(None))
    with VideoReader(path, luma=True) as video:
        assert (video.size, video.is_gray) == ((48, 21), False)
        (found,) = list(video)
    assert found.flags.c_contiguous
    # Limited range has fewer levels, and FFmpeg's conversion to it rounds once more.
    np.testing.assert_allclose(found, plane, atol=2)


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


def test_video_of_an_unknown_codec(tmp_path: Path) -> None:
    path = encode(tmp_path / "new.mp4", "mp4", noise_frames(2))
    data = path.read_bytes()
    names = [name for name in (b"avc1", b"mp4v") if name in data]
    assert names
    for name in names:
        data = data.replace(name, b"new1")
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"new\.mp4 has video of a codec that this FFmpeg cannot decode"):
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
