"""Two live sources in threads of their own: lost, stalled, changed, stopped; scripted, and real servers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from rtsp_process import RtspServer, missing_reason

from refusion.errors import InputError, UsageError
from refusion.stream.backoff import Backoff
from refusion.stream.capture import LiveCapture
from refusion.stream.event_log import EventLog
from refusion.stream.live_moments import LiveMoments
from refusion.stream.moments import Moment, SourceState
from refusion.stream.pairing import open_moments
from refusion.stream.sources import SourceLostError, TimedImage
from refusion.stream.video_writer import VideoWriter

no_rtsp_server = missing_reason()
needs_rtsp_server = pytest.mark.skipif(no_rtsp_server is not None, reason=str(no_rtsp_server))

Step = float | Exception | tuple[int, int]
"""Of a script: seconds to wait, an error to raise, or the (height, width) of a frame to give."""
FRAME = (6, 8)


class Script:
    """A live source, and its reader, that does what a script says; then gives frames for ever."""

    is_live = True
    uri = "script:"
    start_ns = None
    damaged = 0
    rate_hz = 100.0

    def __init__(self, *steps: Step, then: Step = 0.01) -> None:
        self._steps = iter(steps)
        self._then = then
        self.is_open = False

    def open(self, stop: threading.Event) -> Script:
        self._stop = stop
        step = next(self._steps, None)
        if isinstance(step, Exception):
            raise step
        self.is_open = True
        return self

    def read(self) -> TimedImage | None:
        step = next(self._steps, self._then)
        if isinstance(step, Exception):
            raise step
        if isinstance(step, float) and self._stop.wait(step):
            return None
        size = step if isinstance(step, tuple) else FRAME
        return TimedImage(np.zeros(size, np.uint8), time.monotonic_ns())

    def close(self) -> None:
        self.is_open = False


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("refusion-")]


def live(infrared: Script, visible: Script, max_age_ms: int = 150) -> LiveMoments:
    return LiveMoments(infrared, visible, max_skew_ns=None, max_age_ns=max_age_ms * 10**6, clock_offset_ns=0)


def until(moments: LiveMoments, is_seen: Callable[[Moment], bool], *, limit_s: float = 10) -> Moment:
    """Return the first moment for which something holds."""
    limit = time.monotonic() + limit_s
    for moment in moments:
        if is_seen(moment):
            return moment
        assert time.monotonic() < limit, moment
    raise AssertionError("the moments ended")


def states(moments: LiveMoments, name: str) -> list[SourceState]:
    return [event.state for event in moments.events() if event.source == name]


LOST = SourceLostError("unplugged")


def test_pairs_of_two_live_sources() -> None:
    with live(Script(), Script()) as moments:
        assert moments.is_live
        assert moments.rate_hz == 100
        pair = until(moments, lambda m: m.infrared is not None and m.visible is not None)
        reports = moments.reports()
    assert pair.states == (SourceState.live, SourceState.live)
    assert pair.skew_ns is not None
    assert abs(pair.skew_ns) <= 50 * 10**6
    assert [report.size for report in reports] == [(8, 6)] * 2
    assert [report.reconnects for report in reports] == [0, 0]


def test_a_lost_source_leaves_the_other_alone_and_comes_back() -> None:
    refused = SourceLostError("connection refused")
    infrared = Script(0.0, *[0.01] * 20, LOST, refused, refused)
    with live(infrared, Script()) as moments:
        until(moments, lambda m: m.infrared is not None)
        alone = until(moments, lambda m: m.infrared is None)
        assert alone.visible is not None
        assert alone.states == (SourceState.lost, SourceState.live)
        until(moments, lambda m: m.infrared is not None and m.visible is not None)
        assert moments.reports()[0].reconnects == 1
        assert states(moments, "infrared") == [
            SourceState.connecting,
            SourceState.live,
            SourceState.lost,
            SourceState.live,
        ]
        lost = next(event for event in moments.events() if event.state is SourceState.lost)
    assert lost.message == "unplugged; trying again"


def test_a_stalled_source_leaves_the_other_alone() -> None:
    with live(Script(), Script(0.0, *[0.01] * 20, 0.6)) as moments:
        alone = until(moments, lambda m: m.visible is None)
        assert alone.states == (SourceState.live, SourceState.stalled)
        until(moments, lambda m: m.visible is not None)
        assert states(moments, "visible")[1:] == [SourceState.live, SourceState.stalled, SourceState.live]


def test_an_error_that_will_not_heal_is_raised_at_once() -> None:
    with pytest.raises(InputError, match="there is no camera"):
        live(Script(InputError("there is no camera")), Script(then=60.0))


def test_the_same_error_heals_where_the_source_was_live() -> None:
    gone = InputError("there is no camera")
    with live(Script(0.0, *[0.01] * 10, LOST, gone, gone), Script()) as moments:
        until(moments, lambda m: m.infrared is None)
        until(moments, lambda m: m.infrared is not None)


def test_a_source_that_never_comes_is_given_up() -> None:
    events = EventLog()
    refused = [SourceLostError("connection refused")] * 20
    capture = LiveCapture(
        "infrared", Script(*refused), events=events, deliver=lambda _: None, connect_timeout_s=0.3
    )
    capture.start()
    deadline_s = time.monotonic() + 10
    while capture.error is None and time.monotonic() < deadline_s:
        time.sleep(0.02)
    capture.close()
    assert str(capture.error) == "the infrared source script: gave no picture in 0 s: connection refused"
    assert events.latest()[-1].state is SourceState.ended


@pytest.mark.parametrize("after", [(), (LOST,)], ids=["at once", "after a loss"])
def test_a_source_that_changes_its_size_ends_the_stream(after: tuple[Exception, ...]) -> None:
    opening: tuple[Step, ...] = (*after, 0.0) if after else ()
    infrared = Script(0.0, *[0.01] * 10, *opening, (12, 16))
    message = "the infrared source script: changed from 8x6 gray to 16x12 gray; start again"
    with live(infrared, Script()) as moments, pytest.raises(InputError, match=message):
        for _ in moments:
            pass


def test_stop_ends_a_wait() -> None:
    with live(Script(0.0, *[0.01] * 10, then=60.0), Script(0.0, *[0.01] * 10, then=60.0)) as moments:
        threading.Timer(0.5, moments.stop).start()
        for _ in moments:
            pass
        moments.stop()


def test_a_taker_that_is_slow_gets_the_newest() -> None:
    with live(Script(), Script()) as moments:
        iterator = iter(moments)
        for _ in range(5):
            moment = next(iterator)
            assert time.monotonic_ns() - moment.time_ns < 10**9
            time.sleep(0.1)
        reports = moments.reports()
    assert all(report.dropped > 0 for report in reports)


def test_no_password_is_shown() -> None:
    secret = SourceLostError("rtsp://admin:geheim@camera/ir broke")
    with live(Script(0.0, *[0.01] * 10, secret), Script()) as moments:
        until(moments, lambda m: m.infrared is None)
        assert not [event for event in moments.events() if "geheim" in event.message]


def test_back_off_doubles_to_two_seconds_and_begins_anew() -> None:
    backoff = Backoff(seed=0)
    waits_s = [backoff.next_s() for _ in range(6)]
    for wait_s, most_s in zip(waits_s, [0.25, 0.5, 1, 2, 2, 2], strict=True):
        assert 0.8 * most_s <= wait_s <= most_s
    backoff.reset()
    assert backoff.next_s() <= 0.25


def test_a_camera_and_a_recording_have_no_moments() -> None:
    with pytest.raises(UsageError, match="rtsp://camera is live and synthetic:.* is a recording"):
        open_moments("rtsp://camera", "synthetic:?width=32&height=32")


@needs_rtsp_server
def test_a_server_that_is_killed_and_comes_back(tmp_path: Path) -> None:
    for name, size in (("ir", (64, 48)), ("visible", (160, 120))):
        with VideoWriter(tmp_path / f"{name}.mp4", rate=25, size=size) as writer:
            for index in range(25):
                writer.write(np.full((size[1], size[0], 3), 5 * index, np.uint8))
    with (
        RtspServer("--mount", f"ir={tmp_path / 'ir.mp4'}", "--rate", "ir=9") as infrared,
        RtspServer("--mount", f"visible={tmp_path / 'visible.mp4'}") as visible,
        open_moments(infrared.url("ir"), visible.url("visible")) as moments,
    ):
        assert moments.rate_hz == pytest.approx(25, rel=0.05)
        pair = until(moments, lambda m: m.infrared is not None and m.visible is not None)  # type: ignore[arg-type]
        assert pair.infrared is not None
        assert pair.infrared.image.shape == (48, 64, 3)
        infrared.kill()
        alone = until(moments, lambda m: m.infrared is None)  # type: ignore[arg-type]
        assert alone.visible is not None
        infrared.start()
        until(moments, lambda m: m.infrared is not None and m.visible is not None)  # type: ignore[arg-type]
        assert moments.reports()[0].reconnects == 1
