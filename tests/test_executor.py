"""The CPU executor: stages overlap, order and results stay, failures and closing are clean."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from refusion.errors import BackendError
from refusion.executor import CpuExecutor
from refusion.ranges import OutputRange, RangePolicy
from refusion.tasks import Chroma
from refusion.timing import StageClock

RANDOM = np.random.default_rng(5)


class Gated:
    """A backend that gives the second source, each run when it is let go."""

    description = "gated"

    def __init__(self) -> None:
        self.begun, self.go, self.is_closed = threading.Semaphore(0), threading.Semaphore(0), False

    def run(self, sources: Any) -> Any:
        self.begun.release()
        assert self.go.acquire(timeout=10)
        if np.isnan(sources).any() or sources.max() == 0:
            raise BackendError("out of memory")
        return sources[:, 1:].copy()

    def close(self) -> None:
        self.is_closed = True


def off() -> OutputRange:
    return OutputRange(RangePolicy.off)


def colour() -> np.ndarray:
    return RANDOM.integers(1, 256, (6, 7, 3), np.uint8)


def test_the_next_pair_is_prepared_while_the_network_runs() -> None:
    backend, clock = Gated(), StageClock()
    executor = CpuExecutor(backend, clock)
    frames = [colour() for _ in range(3)]
    pending = [executor.submit([(frame, frame)], [Chroma.NONE], off()) for frame in frames]
    assert backend.begun.acquire(timeout=10)
    # All are prepared, one is in the network, none came out of it.
    assert {name: len(calls) for name, calls in clock.calls_ms().items()} == {"pre": 3}
    backend.go.release(3)
    for frame, waiting in zip(frames, pending, strict=True):
        (found,) = waiting.result()
        expected = frame @ np.array([0.114, 0.587, 0.299])
        np.testing.assert_allclose(found, expected, atol=0.6)
    executor.close()
    assert backend.is_closed


@pytest.mark.parametrize("chroma", list(Chroma))
@pytest.mark.parametrize("channels", [(0, 0), (0, 3), (3, 0), (3, 3)], ids=str)
def test_arrays_may_be_changed_once_they_are_submitted(chroma: Chroma, channels: tuple[int, int]) -> None:
    backend = Gated()
    backend.go.release(2)
    executor = CpuExecutor(backend, StageClock())
    pair = [colour() if count else colour()[..., 0] for count in channels]
    given = pair[0].copy(), pair[1].copy()
    (expected,) = executor.submit([(pair[0], pair[1])], [chroma], off()).result()
    assert expected.shape == ((6, 7) if chroma is Chroma.NONE else (6, 7, 3))
    np.testing.assert_array_equal(pair[0], given[0])
    np.testing.assert_array_equal(pair[1], given[1])
    pending = executor.submit([(pair[0], pair[1])], [chroma], off())
    for frame in pair:
        frame[:] = 7
    (found,) = pending.result()
    executor.close()
    np.testing.assert_array_equal(found, expected)


def test_a_failed_run_does_not_cost_the_next() -> None:
    backend = Gated()
    backend.go.release(2)
    executor = CpuExecutor(backend, StageClock())
    black, frame = np.zeros((6, 7), np.uint8), colour()[..., 0]
    first, second = (executor.submit([(one, one)], [Chroma.NONE], off()) for one in (black, frame))
    with pytest.raises(BackendError, match="out of memory"):
        first.result()
    np.testing.assert_array_equal(second.result()[0], frame)
    executor.close()


def test_closing_gives_up_what_waits_and_takes_nothing_more() -> None:
    before = set(threading.enumerate())
    backend = Gated()
    executor = CpuExecutor(backend, StageClock())
    frame = colour()[..., 0]
    running, waiting = (executor.submit([(frame, frame)], [Chroma.NONE], off()) for _ in range(2))
    assert backend.begun.acquire(timeout=10)
    closing = threading.Thread(target=executor.close)
    closing.start()
    with pytest.raises(BackendError, match="given up when what fuses them was closed"):
        waiting.result()
    assert not backend.is_closed
    backend.go.release()
    closing.join(10)
    assert backend.is_closed
    del running
    with pytest.raises(BackendError, match="is closed; open another Fuser"):
        executor.submit([(frame, frame)], [Chroma.NONE], off())
    executor.close()
    assert set(threading.enumerate()) <= before
