"""Frames encoded behind whoever gives them: all of them, in order, and failures are not lost."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from refusion.errors import InputError
from refusion.stream.background_writer import BackgroundWriter
from refusion.stream.video import VideoReader, VideoWriter
from refusion.timing import StageClock

SIZE = (64, 48)


def frame(level: int) -> np.ndarray:
    return np.full((48, 64), level, np.uint8)


def test_every_frame_is_written_in_order_and_timed(tmp_path: Path) -> None:
    clock = StageClock()
    with (
        VideoWriter(tmp_path / "v.mp4", rate=10, size=SIZE) as writer,
        BackgroundWriter(writer, clock=clock) as encoder,
    ):
        for index in range(12):
            encoder.write(frame(20 * index), time_ns=index * 200_000_000)
    with VideoReader(tmp_path / "v.mp4", luma=True) as video:
        found = [(video.time_ns, int(picture[20, 20])) for picture in video]
    assert [time_ns for time_ns, _ in found] == [index * 200_000_000 for index in range(12)]
    np.testing.assert_allclose([level for _, level in found], 20 * np.arange(12), atol=2)
    assert len(clock.calls_ms()["encode"]) == 12


def write_all(path: Path, pictures: Iterable[np.ndarray]) -> None:
    with (
        VideoWriter(path, rate=10, size=SIZE) as writer,
        BackgroundWriter(writer, clock=StageClock()) as encoder,
    ):
        for picture in pictures:
            encoder.write(picture)


def interrupted() -> Iterator[np.ndarray]:
    yield from map(frame, range(4))
    raise KeyboardInterrupt


@pytest.mark.parametrize("later", [0, 10], ids=["at the end", "meanwhile"])
def test_a_frame_that_cannot_be_written_ends_it_and_leaves_no_file(tmp_path: Path, later: int) -> None:
    pictures = [frame(0), np.zeros((10, 10), np.uint8), *map(frame, range(later))]
    with pytest.raises(InputError, match="is 64x48, but the frame is 10x10"):
        write_all(tmp_path / "v.mp4", pictures)
    assert list(tmp_path.iterdir()) == []


def test_leaving_by_an_exception_writes_no_more_and_ends_the_thread(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        write_all(tmp_path / "v.mp4", interrupted())
    assert list(tmp_path.iterdir()) == []
    assert set(threading.enumerate()) <= before
