from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from stream_moments import WrittenMoments, moment

from refusion import Fuser, InputError, OutputError, UsageError
from refusion.alignment import Calibration
from refusion.ranges import RangePolicy
from refusion.stream.fusing import MomentFuser
from refusion.stream.moments import Moment
from refusion.stream.monitoring import StreamFrame
from refusion.stream.pipeline import FusionStream
from refusion.stream.recording import Recorder
from refusion.stream.registration import Registration
from refusion.stream.rendering import ViewSettings
from refusion.stream.sinks import Sink, VideoSink
from refusion.stream.synthetic import SyntheticScene
from refusion.stream.video import VideoReader
from refusion.thermal import GainControl
from refusion.timing import StageClock

FRAME_NS = 40_000_000
SCENE = SyntheticScene(width_px=64, height_px=48)


def moments(count: int | None = None) -> Iterator[Moment]:
    for index in itertools.count() if count is None else range(count):
        pair = SCENE.pair(index)
        yield moment(index, pair.a, pair.b, time_ns=index * FRAME_NS, skew_ns=3_000_000)


def open_on(
    source: WrittenMoments,
    folder: Path,
    *,
    sinks: list[Sink] | None = None,
    calibration: Calibration | None = None,
    max_frames: int | None = None,
) -> FusionStream:
    fuser = Fuser("ivif", threads=1)
    registration = Registration(calibration, path=folder / "calibration.yaml")
    return FusionStream(
        source,
        fuser,
        MomentFuser(fuser, registration, GainControl(), RangePolicy.tracked),
        registration,
        recorder=Recorder(
            folder / "recordings", rate_hz=source.rate_hz, clock=fuser.clock, waits=not source.is_live
        ),
        sinks=sinks or [],
        max_frames=max_frames,
    )


def test_files_lose_nothing_whoever_is_slow(tmp_path: Path) -> None:
    class Slow:
        numbers: list[int]

        def __init__(self) -> None:
            self.numbers = []

        def write(self, frame: StreamFrame) -> None:
            time.sleep(0.01)
            self.numbers.append(frame.index)

        def close(self) -> None:
            pass

    slow = Slow()
    source = WrittenMoments(moments(12))
    with open_on(source, tmp_path, sinks=[slow]) as stream:
        seen = [frame.index for frame in stream]
        status = stream.status()
    assert seen == slow.numbers == list(range(12))
    assert (status.frames, status.dropped_by_sinks, status.has_ended) == (12, 0, True)
    assert status.size == (64, 48)
    assert status.skew is not None
    assert status.skew.p50_ms == pytest.approx(3.0)
    assert status.latency is None  # of files it says nothing
    assert {"thermal", "pre", "network", "post"} <= set(status.stages)
    assert source.closed >= 1


def test_frames_are_those_of_the_fusers_own_stream(tmp_path: Path) -> None:
    with Fuser("ivif", threads=1) as fuser:
        expected = fuser.stream()
        with open_on(WrittenMoments(moments(3)), tmp_path) as stream:
            for frame, pair in zip(stream, (SCENE.pair(index) for index in range(3)), strict=True):
                assert frame.fused is not None
                np.testing.assert_array_equal(frame.fused, expected(pair.a, pair.b))


def test_live_stream_shows_the_newest_frame_and_counts_what_readers_miss(tmp_path: Path) -> None:
    def live() -> Iterator[Moment]:
        for index in range(30):
            pair = SCENE.pair(index)
            yield moment(index, pair.a, pair.b, time_ns=time.monotonic_ns())

    with open_on(WrittenMoments(live(), is_live=True), tmp_path) as stream:
        seen = []
        for frame in stream:
            seen.append(frame.index)
            if len(seen) == 1:
                stream.wait_ended(60)
        status = stream.status()
    assert seen == [0, 29]
    assert status.dropped_by_sinks == 28
    assert status.latency is not None
    assert 0 < status.stages["arrival"].p50_ms < status.latency.p50_ms < 60_000


def test_single_camera_is_shown_alone_and_never_fused(tmp_path: Path) -> None:
    pair = SCENE.pair(0)
    shown = [
        moment(0, pair.a, pair.b, time_ns=0),
        moment(1, None, pair.b, time_ns=FRAME_NS),
        moment(2, pair.a, None, time_ns=2 * FRAME_NS),
        moment(3, pair.a, pair.b, time_ns=3 * FRAME_NS),
    ]
    with open_on(WrittenMoments(shown), tmp_path) as stream:
        frames = list(stream)
        status = stream.status()
    assert [frame.fused is None for frame in frames] == [False, True, True, False]
    assert frames[1].infrared is None
    np.testing.assert_array_equal(frames[1].visible, pair.b)
    assert frames[2].visible is None
    np.testing.assert_array_equal(frames[2].infrared, pair.a)
    assert (status.frames, status.frames_single) == (2, 2)


def test_failed_source_ends_the_stream_and_keeps_the_file(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    source = WrittenMoments(moments(5), failure=InputError("the camera changed its size"))
    sink = VideoSink(path, ViewSettings(), rate_hz=25, clock=StageClock())
    with open_on(source, tmp_path, sinks=[sink]) as stream:
        seen = []
        with pytest.raises(InputError, match="the camera changed its size"):
            seen.extend(frame.index for frame in stream)
        assert stream.status().has_ended
    with VideoReader(path) as video:
        assert len(list(video)) == 5


def test_failed_sink_ends_the_stream(tmp_path: Path) -> None:
    class Full:
        def write(self, frame: StreamFrame) -> None:
            raise OutputError("the disk is full")

        def close(self) -> None:
            pass

    with open_on(WrittenMoments(moments()), tmp_path, sinks=[Full()]) as stream:
        stream.start()
        with pytest.raises(OutputError, match="the disk is full"):
            stream.join(60)


def test_stop_ends_an_endless_stream_and_finishes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    sink = VideoSink(path, ViewSettings(), rate_hz=25, clock=StageClock())
    with open_on(WrittenMoments(moments(4), endless=True), tmp_path, sinks=[sink]) as stream:
        stream.start()
        assert stream.wait(2, 60) is not None
        stream.stop()
        assert stream.join(10)
    with VideoReader(path) as video:
        assert len(list(video)) == 4
        assert video.time_ns == 3 * FRAME_NS  # each frame has its own time


def test_end_after_so_many_frames(tmp_path: Path) -> None:
    with open_on(WrittenMoments(moments()), tmp_path, max_frames=3) as stream:
        assert len(list(stream)) == 3


def test_loop_that_started_the_stream_closes_it_when_left(tmp_path: Path) -> None:
    source = WrittenMoments(moments())
    stream = open_on(source, tmp_path)
    for frame in stream:
        assert frame.fused is not None
        break
    assert source.closed == 1
    with pytest.raises(UsageError, match="the stream is closed"):
        stream.start()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("refusion fusing")]


def test_recording_and_snapshot_of_a_running_stream(tmp_path: Path) -> None:
    go_on = threading.Event()

    def gated() -> Iterator[Moment]:
        for number, one in enumerate(moments(8)):
            if number == 2:
                assert go_on.wait(60)
            yield one

    with open_on(WrittenMoments(gated()), tmp_path) as stream:
        stream.start()
        first = stream.wait(0, 60)
        assert first is not None
        path = stream.start_recording()
        assert stream.start_recording() == path
        assert stream.status().recording == path
        go_on.set()
        assert stream.join(60)
        assert stream.stop_recording() is None  # the end of the stream has finished it
        snapshot = stream.save_snapshot(first.fused)
        again = stream.save_snapshot(first.fused)
    assert path.parent == tmp_path / "recordings"
    with VideoReader(path) as video:
        assert len(list(video)) == 6
    np.testing.assert_array_equal(cv2.imread(str(snapshot)), first.fused)
    assert snapshot != again


def test_recording_that_cannot_be_written_says_so_and_the_stream_runs_on(tmp_path: Path) -> None:
    (tmp_path / "recordings").write_text("a file stands where the folder should be")
    with open_on(WrittenMoments(moments(3)), tmp_path) as stream:
        with pytest.raises(OutputError, match="recordings"):
            stream.start_recording()
        assert len(list(stream)) == 3


@pytest.mark.parametrize("size", [(32, 24), (64, 48), (80, 60)])
def test_uncalibrated_cameras_of_any_sizes_are_fused_over_the_full_view(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    pair = SCENE.pair(0)
    infrared = cv2.resize(pair.a, size, interpolation=cv2.INTER_AREA)
    with open_on(WrittenMoments([moment(0, infrared, pair.b, time_ns=0)]), tmp_path) as stream:
        (frame,) = list(stream)
        calibration = stream.calibration
    assert frame.fused is not None
    assert frame.fused.shape == (48, 64, 3)
    assert (frame.warp is None) == (size == (64, 48))
    assert calibration is not None
    assert (calibration.infrared_size, calibration.visible_size) == (size, (64, 48))
    assert frame.aligned_infrared is not None
    assert np.abs(frame.aligned_infrared.astype(int) - pair.a).mean() < 6


def test_calibration_changes_while_it_runs_and_the_picture_keeps_its_size(
    tmp_path: Path,
) -> None:
    source = WrittenMoments(moments())
    with open_on(source, tmp_path) as stream:
        with pytest.raises(UsageError, match="nothing to align yet"):
            stream.set_calibration(Calibration.full_view((64, 48), (64, 48)))
        stream.start()
        before = stream.wait(-1, 60)
        assert before is not None
        assert stream.calibration is not None
        stream.set_calibration(stream.calibration.adjusted(dx_px=5, dy_px=-2))
        latest: StreamFrame | None = before
        while latest is not None and latest.warp is None:
            latest = stream.wait(latest.index, 60)
        assert latest is not None
        assert latest.fused is not None
        assert before.fused is not None
        assert latest.fused.shape == before.fused.shape
        assert stream.save_calibration() == tmp_path / "calibration.yaml"
        with pytest.raises(InputError, match="10x10"):
            stream.set_calibration(Calibration.full_view((10, 10), (7, 5)))
    assert (tmp_path / "calibration.yaml").is_file()
