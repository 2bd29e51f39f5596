"""Moments of recordings: lossless, both together in rounds, at the pace of cameras on demand."""

from __future__ import annotations

import itertools
import math
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from refusion.errors import InputError, UsageError
from refusion.stream.moments import SourceState
from refusion.stream.pairing import open_moments
from refusion.stream.video_writer import VideoWriter

MS = 1_000_000


def video(path: Path, *, count: int, rate: int, size: tuple[int, int] = (64, 48)) -> str:
    with VideoWriter(path, rate=rate, size=size) as writer:
        for index in range(count):
            writer.write(np.full((size[1], size[0], 3), 5 * index, np.uint8))
    return str(path)


def thermal_folder(folder: Path, *, count: int) -> str:
    folder.mkdir()
    for index in range(count):
        image = np.full((120, 160), 8000 + index, np.uint16)
        cv2.imwrite(str(folder / f"t{index}.tiff"), image)
    return str(folder)


def test_each_frame_of_the_faster_one_gives_a_moment(tmp_path: Path) -> None:
    infrared = thermal_folder(tmp_path / "ir", count=9)
    visible = video(tmp_path / "visible.mp4", count=30, rate=30)
    with open_moments(infrared, visible, infrared_rate_hz=9) as source:
        assert (source.is_live, source.rate_hz) == (False, 30)
        moments = list(source)
        reports = source.reports()
    assert [m.visible.index for m in moments if m.visible] == list(range(30))
    assert {m.infrared.index for m in moments if m.infrared} == set(range(9))
    for moment in moments:
        assert moment.infrared is not None
        assert moment.infrared.image.dtype == np.uint16
        assert moment.infrared.image[0, 0] == 8000 + moment.infrared.index
        assert abs(moment.skew_ns or 0) <= 90 * MS
    assert [(r.received, r.dropped, r.size) for r in reports] == [(9, 0, (160, 120)), (30, 0, (64, 48))]
    assert [r.state for r in reports] == [SourceState.ended] * 2


def test_a_longer_recording_goes_on_alone(tmp_path: Path) -> None:
    infrared = video(tmp_path / "a.mp4", count=5, rate=25)
    visible = video(tmp_path / "b.mp4", count=10, rate=25)
    with open_moments(infrared, visible, max_skew_ms=30) as source:
        moments = list(source)
        events = [(e.source, e.state) for e in source.events()]
    assert [m.infrared is None for m in moments] == [False] * 5 + [True] * 5
    assert moments[-1].states == (SourceState.ended, SourceState.live)
    assert events[-2:] == [("infrared", SourceState.ended), ("visible", SourceState.ended)]


def test_clock_offset_moves_infrared(tmp_path: Path) -> None:
    infrared, visible = (video(tmp_path / f"{n}.mp4", count=10, rate=25) for n in "ab")
    with open_moments(infrared, visible, clock_offset_ms=80, max_skew_ms=30) as source:
        moments = list(source)
    both = [(m.infrared.index, m.visible.index) for m in moments if m.infrared and m.visible]
    assert both == [(n, n + 2) for n in range(8)]
    assert all(m.skew_ns == 0 for m in moments if m.infrared and m.visible)


def test_names_that_are_times_pair_folders_that_began_apart(tmp_path: Path) -> None:
    start_ms = 1_700_000_000_000
    for name, first_ms in (("ir", 0), ("visible", 120)):
        (tmp_path / name).mkdir()
        for index in range(6):
            path = tmp_path / name / f"{start_ms + first_ms + 40 * index}.png"
            cv2.imwrite(str(path), np.zeros((8, 8), np.uint8))
    with open_moments(str(tmp_path / "ir"), str(tmp_path / "visible"), max_skew_ms=15) as source:
        moments = list(source)
    both = [(m.infrared.index, m.visible.index) for m in moments if m.infrared and m.visible]
    assert both == [(3, 0), (4, 1), (5, 2)]


def test_rounds_begin_together_and_times_go_on(tmp_path: Path) -> None:
    infrared = video(tmp_path / "a.mp4", count=4, rate=25)
    visible = video(tmp_path / "b.mp4", count=5, rate=25)
    with open_moments(infrared, visible, loop=True, max_skew_ms=30) as source:
        moments = list(itertools.islice(source, 15))
    assert [m.time_ns for m in moments] == pytest.approx([n * 40 * MS for n in range(15)], abs=MS)
    assert [m.infrared is None for m in moments] == ([False] * 4 + [True]) * 3
    assert [m.visible.index for m in moments if m.visible] == list(range(15))


def test_synthetic_scene_gives_both_views_of_one_moment() -> None:
    address = "synthetic:?width=64&height=48&frames=5"
    with open_moments(address, address) as source:
        moments = list(source)
    assert [(m.infrared.image.shape, m.visible.image.shape) for m in moments if m.infrared and m.visible] == [
        ((48, 64), (48, 64, 3))
    ] * 5


def test_pace_of_cameras(tmp_path: Path) -> None:
    infrared, visible = (video(tmp_path / f"{n}.mp4", count=10, rate=50) for n in "ab")
    with open_moments(infrared, visible, realtime=True) as source:
        assert source.is_live
        for moment in source:
            assert moment.time_ns <= time.monotonic_ns() + 20 * MS
        reports = source.reports()
    assert [r.received for r in reports] == [10, 10]


def test_a_slow_taker_at_the_pace_of_cameras_gets_newer_frames(tmp_path: Path) -> None:
    infrared, visible = (video(tmp_path / f"{n}.mp4", count=40, rate=100) for n in "ab")
    with open_moments(infrared, visible, realtime=True) as source:
        indices = []
        for moment in source:
            assert moment.visible is not None
            indices.append(moment.visible.index)
            time.sleep(0.05)
        dropped = source.reports()[1].dropped
    assert dropped == 40 - len(indices) > 0
    assert indices == sorted(indices)


def test_stop_ends_a_wait() -> None:
    address = "synthetic:?width=64&height=48&rate=0.1"
    with open_moments(address, address, realtime=True) as source:
        iterator = iter(source)
        next(iterator)
        threading.Timer(0.1, source.stop).start()
        assert next(iterator, None) is None
    assert not [t.name for t in threading.enumerate() if t.name.startswith("refusion-")]


def test_a_damaged_frame_is_reported_in_its_place(tmp_path: Path) -> None:
    infrared = thermal_folder(tmp_path / "ir", count=5)
    (tmp_path / "ir" / "t3.tiff").write_bytes(b"II*\0")
    with open_moments(infrared, infrared) as source:
        iterator = iter(source)
        assert [next(iterator).time_ns for _ in range(3)] == [0, 40 * MS, 80 * MS]
        with pytest.raises(InputError, match="t3.tiff is not an image, or is damaged"):
            next(iterator)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_skew_ms": 0}, "max skew must be above 0 ms, not 0"),
        ({"max_age_ms": -1}, "max age must be above 0 ms, not -1"),
        ({"max_skew_ms": math.nan}, "max skew must be above 0 ms, not nan"),
        ({"max_age_ms": math.inf}, "max age must be at most 8.64e.07 ms, a day, not inf"),
        ({"clock_offset_ms": math.nan}, "clock offset must be at most 8.64e.07 ms, a day, not nan"),
        ({"infrared_rate_hz": 0}, "the infrared rate must be above 0 Hz and at most 1e.06, not 0"),
        ({"visible_rate_hz": math.inf}, "the visible rate must be above 0 Hz and at most 1e.06, not inf"),
        ({"rtsp_transport": "sctp"}, "the RTSP transport must be tcp or udp, not 'sctp'"),
    ],
)
def test_options_that_do_not_fit(options: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_moments("synthetic:", "synthetic:", **options)  # type: ignore[arg-type]


def test_no_thread_is_left_when_the_second_source_fails(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no video"):
        open_moments("synthetic:?width=32&height=32", str(tmp_path / "none.mp4"))
    assert not [t.name for t in threading.enumerate() if t.name.startswith("refusion-")]
