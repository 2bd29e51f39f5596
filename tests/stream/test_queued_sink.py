from __future__ import annotations

import threading

import pytest

from refusion import OutputError
from refusion.stream.moments import SourceState
from refusion.stream.monitoring import StreamFrame
from refusion.stream.queued_sink import QUEUED_FRAMES, QueuedSink


def frame(index: int) -> StreamFrame:
    states = SourceState.live, SourceState.live
    return StreamFrame(index, 0, None, None, None, None, None, states)


class Collecting:
    """Keeps the numbers of its frames; writes wait while the gate is shut."""

    def __init__(self, *, fails_at: int | None = None, fails_on_close: bool = False) -> None:
        self.numbers: list[int] = []
        self.closed = 0
        self.gate = threading.Event()
        self.gate.set()
        self._fails_at = fails_at
        self._fails_on_close = fails_on_close

    def write(self, frame: StreamFrame) -> None:
        assert self.gate.wait(10)
        if self._fails_at is not None and frame.index >= self._fails_at:
            raise OutputError("the disk is full")
        self.numbers.append(frame.index)

    def close(self) -> None:
        self.closed += 1
        if self._fails_on_close:
            raise OutputError("the end cannot be written")


def put_all(queued: QueuedSink, numbers: range) -> None:
    for index in numbers:
        queued.put(frame(index))


def test_waiting_sink_gets_all_frames_in_order() -> None:
    sink, written = Collecting(), []
    queued = QueuedSink(sink, name="test", waits=True, written=lambda one: written.append(one.index))
    for index in range(50):
        queued.put(frame(index))
    queued.finish()
    queued.finish()
    assert sink.numbers == written == list(range(50))
    assert (sink.closed, queued.dropped) == (1, 0)


def test_slow_sink_of_a_live_stream_loses_the_oldest_and_counts_them() -> None:
    sink = Collecting()
    sink.gate.clear()
    queued = QueuedSink(sink, name="test", waits=False)
    for index in range(50):
        queued.put(frame(index))
    sink.gate.set()
    queued.finish()
    assert sink.numbers[-QUEUED_FRAMES:] == list(range(50 - QUEUED_FRAMES, 50))
    assert len(sink.numbers) + queued.dropped == 50
    assert QUEUED_FRAMES <= len(sink.numbers) <= QUEUED_FRAMES + 1  # one may have been taken before


@pytest.mark.parametrize("waits", [True, False])
def test_failure_is_told_and_nobody_hangs(waits: bool) -> None:
    sink = Collecting(fails_at=3)
    queued = QueuedSink(sink, name="test", waits=waits)
    with pytest.raises(OutputError, match="the disk is full"):
        put_all(queued, range(10_000))
    queued.finish()
    assert sink.numbers == [0, 1, 2] if waits else max(sink.numbers, default=0) < 3
    assert sink.closed == 1


def test_failure_at_the_end_is_kept() -> None:
    queued = QueuedSink(Collecting(fails_on_close=True), name="test", waits=True)
    queued.put(frame(0))
    queued.finish()
    assert str(queued.failure) == "the end cannot be written"
