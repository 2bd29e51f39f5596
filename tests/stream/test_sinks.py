from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from refusion import OutputError
from refusion.stream.moments import SourceState
from refusion.stream.monitoring import StreamFrame
from refusion.stream.recording import Recorder
from refusion.stream.rendering import View, ViewSettings
from refusion.stream.sinks import FolderSink, VideoSink, fitted, open_sink
from refusion.stream.video import VideoReader
from refusion.timing import StageClock

LIVE = (SourceState.live, SourceState.live)


def frame(index: int, *, height: int = 48, width: int = 64) -> StreamFrame:
    picture = np.full((height, width, 3), 20 + 10 * index, np.uint8)
    return StreamFrame(index, index * 100_000_000, picture, picture[..., 0], picture, None, 0, LIVE)


def test_video_keeps_its_first_size_and_each_frames_time(tmp_path: Path) -> None:
    clock = StageClock()
    sink = VideoSink(tmp_path / "o.mp4", ViewSettings(), rate_hz=30, clock=clock)
    sink.write(frame(0))
    sink.write(frame(1, height=96, width=64))
    sink.write(frame(5))
    sink.close()
    sink.close()
    with VideoReader(tmp_path / "o.mp4") as video:
        times = []
        for picture in video:
            times.append(round(video.time_ns / 1e6))
            assert picture.shape == (48, 64, 3)
    assert times == pytest.approx([0, 100, 500], abs=1)
    assert set(clock.percentiles()) == {"view", "encode"}


def test_video_of_no_frames_is_no_file(tmp_path: Path) -> None:
    VideoSink(tmp_path / "o.mp4", ViewSettings(), rate_hz=30, clock=StageClock()).close()
    assert list(tmp_path.iterdir()) == []


def test_folder_has_a_file_a_frame_of_the_chosen_view(tmp_path: Path) -> None:
    sink = open_sink(tmp_path / "frames", ViewSettings(View.side), rate_hz=30, clock=StageClock())
    assert isinstance(sink, FolderSink)
    for index in (0, 7):
        sink.write(frame(index))
    sink.close()
    names = sorted(path.name for path in (tmp_path / "frames").iterdir())
    assert names == ["000000.png", "000007.png"]
    assert cv2.imread(str(tmp_path / "frames" / "000000.png")).shape == (48, 128, 3)


@pytest.mark.parametrize(
    ("shape", "size", "inner"),
    [
        ((48, 64), (64, 48), (slice(0, 48), slice(0, 64))),
        ((96, 64), (64, 48), (slice(0, 48), slice(16, 48))),
        ((24, 64, 3), (64, 48), (slice(12, 36), slice(0, 64))),
        ((12, 16, 3), (64, 48), (slice(0, 48), slice(0, 64))),
    ],
)
def test_pictures_of_other_shapes_are_fitted(
    shape: tuple[int, ...], size: tuple[int, int], inner: tuple[slice, slice]
) -> None:
    result = fitted(np.full(shape, 200, np.uint8), size)
    assert result.shape[:2] == (size[1], size[0])
    assert (result[inner] == 200).all()
    assert int(result.astype(int).sum()) == 200 * result[inner].size


def test_recorder_names_files_apart_and_ends_with_its_failure(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "r", rate_hz=25, clock=StageClock(), waits=True)
    assert recorder.stop() is None
    first = recorder.start()
    recorder.put(frame(0))
    assert recorder.path == first
    assert recorder.stop() == first
    second = recorder.start()
    assert second != first
    with pytest.raises(OutputError, match="no picture came while it was recorded"):
        recorder.stop()
    assert recorder.path is None
    assert [path.name for path in (tmp_path / "r").iterdir()] == [first.name]
