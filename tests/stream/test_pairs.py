"""Sources of pairs: what belongs together comes together, and what does not is refused."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from refusion.errors import InputError, UsageError
from refusion.frames import Frame, FramePair
from refusion.fuser import Fuser
from refusion.stream.pairs import SyntheticPairs, VideoPairs, fused_pairs, open_pairs
from refusion.stream.synthetic import SyntheticScene
from refusion.stream.video import VideoReader, VideoWriter
from refusion.tasks import Chroma
from refusion.timing import StageClock

SIZE = (64, 48)
RED, GRAY = (0, 0, 200), (90, 90, 90)


def flat(colour: tuple[int, int, int], size: tuple[int, int] = SIZE) -> Frame:
    return np.full((size[1], size[0], 3), colour, np.uint8)


def write(
    path: Path,
    frame: Frame,
    *,
    count: int = 5,
    rate: Fraction | float = 25,
    times_ns: list[int] | None = None,
) -> Path:
    """Write a video whose frames get darker, so that each can be told."""
    with VideoWriter(path, rate=rate, size=(frame.shape[1], frame.shape[0])) as writer:
        for index in range(count):
            writer.write(frame - np.uint8(10 * index) * (frame > 0), time_ns=times_ns and times_ns[index])
    return path


def test_frames_come_in_pairs_with_their_time(tmp_path: Path) -> None:
    a = write(tmp_path / "a.mp4", flat(GRAY), rate=10)
    b = write(tmp_path / "b.mp4", flat(RED), rate=10)
    with VideoPairs(a, b) as source:
        assert (source.size, source.rate, source.frame_count) == (SIZE, 10, 5)
        pairs = list(source)
    assert [pair.time_ns for pair in pairs] == [index * 100_000_000 for index in range(5)]
    for index, pair in enumerate(pairs):
        assert abs(int(pair.a[20, 20]) - (90 - 10 * index)) <= 3
        assert abs(int(pair.b[20, 20, 2]) - (200 - 10 * index)) <= 3


def test_times_are_those_of_the_first_source(tmp_path: Path) -> None:
    times_ns = [0, 40_000_000, 120_000_000, 160_000_000, 200_000_000]
    a = write(tmp_path / "a.mp4", flat(GRAY), times_ns=times_ns)
    with VideoPairs(a, a) as source:
        np.testing.assert_allclose([pair.time_ns for pair in source], times_ns, atol=400_000)


@pytest.mark.parametrize(
    ("colour_a", "colour_b", "chroma"),
    [
        (GRAY, GRAY, Chroma.NONE),
        (RED, GRAY, Chroma.A),
        (GRAY, RED, Chroma.B),
        (RED, RED, Chroma.BOTH),
    ],
)
def test_chroma_is_decided_from_both_videos(
    tmp_path: Path, colour_a: tuple[int, int, int], colour_b: tuple[int, int, int], chroma: Chroma
) -> None:
    a, b = write(tmp_path / "a.mp4", flat(colour_a)), write(tmp_path / "b.mp4", flat(colour_b))
    with VideoPairs(a, b) as source:
        assert source.chroma is chroma
        assert len(list(source)) == 5  # Looking for colour takes no frame away.


def test_stages_are_timed_frame_by_frame(tmp_path: Path) -> None:
    clock = StageClock()
    a, b = write(tmp_path / "a.mp4", flat(GRAY)), write(tmp_path / "b.mp4", flat(RED))
    with VideoPairs(a, b, clock=clock) as source:
        assert len(list(source)) == 5
    counts = {name: len(times) for name, times in clock.calls_ms().items()}
    # The end is asked for, too; more than once, because frames are taken ahead.
    assert counts.keys() == {"decode a", "decode b", "pair"}
    assert all(count >= 6 for count in counts.values())


def test_a_second_iteration_goes_on_where_the_first_stopped(tmp_path: Path) -> None:
    a = write(tmp_path / "a.mp4", flat(GRAY), rate=10)
    with VideoPairs(a, a) as source:
        times_ns = [next(iter(source)).time_ns, *(pair.time_ns for pair in source)]
    assert times_ns == [index * 100_000_000 for index in range(5)]


def test_pairs_come_out_with_their_fused_frames() -> None:
    pairs = [
        FramePair(np.full((8, 8), index, np.uint8), np.full((8, 8), index, np.uint8)) for index in range(6)
    ]
    with Fuser("ivif", threads=1, output_range="off") as fuser:
        found = list(fused_pairs(pairs, fuser.stream(output_range="off")))
        expected = [fuser(pair.a, pair.b) for pair in pairs]
    assert [pair for pair, _ in found] == pairs
    np.testing.assert_array_equal([frame for _, frame in found], expected)


def test_colour_that_comes_late_counts_from_the_first_frame(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "b.mp4", rate=25, size=SIZE) as writer:
        for index in range(20):
            writer.write(flat(RED if index == 19 else GRAY))
    with VideoPairs(write(tmp_path / "a.mp4", flat(GRAY), count=20), tmp_path / "b.mp4") as source:
        assert source.chroma is Chroma.B


def test_closing_twice_is_harmless_and_ends_the_iteration(tmp_path: Path) -> None:
    a = write(tmp_path / "a.mp4", flat(GRAY))
    with VideoPairs(a, a) as source:
        next(iter(source))
    source.__exit__()
    assert list(source) == []


@pytest.mark.parametrize(
    ("make_b", "message"),
    [
        (
            lambda path: write(path, flat(RED, (48, 48))),
            r"differ in size: .*a\.mp4 has 64x48, .*b\.mp4 has 48x48",
        ),
        (lambda path: write(path, flat(RED), rate=30), r"frame rate: .*a\.mp4 has 25 Hz, .*b\.mp4 has 30 Hz"),
        (lambda path: write(path, flat(RED), count=4), r"number of frames: .*a\.mp4 has 5, .*b\.mp4 has 4"),
        (lambda path: path.write_bytes(b"no video" * 99), r"b\.mp4 is not a video"),
        (lambda path: None, r"there is no video .*b\.mp4"),
    ],
    ids=["size", "rate", "length", "text", "missing"],
)
def test_videos_that_do_not_belong_together(
    tmp_path: Path, make_b: Callable[[Path], object], message: str
) -> None:
    a = write(tmp_path / "a.mp4", flat(GRAY))
    make_b(tmp_path / "b.mp4")
    with pytest.raises(InputError, match=message):
        VideoPairs(a, tmp_path / "b.mp4")
    open_files = {path.resolve() for path in Path("/proc/self/fd").iterdir()}
    assert not {a, tmp_path / "b.mp4"} & open_files


@pytest.mark.parametrize("shorter", ["a", "b"])
def test_an_end_that_the_file_did_not_announce(tmp_path: Path, shorter: str) -> None:
    """MPEG-TS states no number of frames: the difference shows at the end."""
    counts = {"a": 6, "b": 6, shorter: 4}
    for name, count in counts.items():
        with av.open(str(tmp_path / f"{name}.ts"), "w") as container:
            stream = container.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
            for _ in range(count):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(flat(GRAY), format="bgr24")))
            container.mux(stream.encode(None))
    with VideoPairs(tmp_path / "a.ts", tmp_path / "b.ts") as source:
        assert source.frame_count is None
        pairs = iter(source)
        assert [next(pairs).a.shape for _ in range(4)] == [(48, 64)] * 4
        with pytest.raises(InputError, match=rf"{shorter}\.ts ends after 4 frames, before the other video"):
            next(pairs)


def test_frames_of_16_bits_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "raw.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "gray16le"
        plane = np.full((48, 64), 30000, np.uint16)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(plane, format="gray16le")))
        container.mux(stream.encode(None))
    with (
        VideoPairs(path, path) as source,
        pytest.raises(
            InputError, match=r"source a \(.*raw\.mkv\) must be uint8 .* not uint16; map its range"
        ),
    ):
        next(iter(source))


def test_synthetic_pairs_are_those_of_the_scene() -> None:
    with open_pairs(*["synthetic:?width=64&height=48&rate=12.5&frames=2&seed=3"] * 2) as source:
        assert isinstance(source, SyntheticPairs)
        assert (source.size, source.rate, source.frame_count) == (SIZE, Fraction(25, 2), 2)
        assert source.chroma is Chroma.B
        pairs = list(source)
    scene = SyntheticScene(width_px=64, height_px=48, rate_hz=12.5, seed=3)
    for pair, expected in zip(pairs, scene.frames(2), strict=True):
        np.testing.assert_array_equal(pair.a, expected.a)
        np.testing.assert_array_equal(pair.b, expected.b)
        assert pair.time_ns == expected.time_ns


def test_paths_open_as_videos(tmp_path: Path) -> None:
    a = write(tmp_path / "a.mp4", flat(GRAY))
    with open_pairs(str(a), str(a)) as source, VideoReader(a) as reader:
        assert isinstance(source, VideoPairs)
        np.testing.assert_allclose(next(iter(source)).b, next(reader)[..., 0], atol=1)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (
            "synthetic:?frames=2",
            "clip.mp4",
            "need the same address, not 'synthetic:.frames=2' and 'clip.mp4'",
        ),
        ("clip.mp4", "synthetic:?frames=2", "need the same address"),
        ("synthetic:?frames=2", "synthetic:?frames=3", "need the same address"),
        ("synthetic:", "synthetic:", r"never ends: say how many frames to take, as in synthetic:\?frames=50"),
        ("synthetic:?depth=1", "synthetic:?depth=1", "no setting 'depth'"),
    ],
)
def test_bad_addresses(a: str, b: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_pairs(a, b)
