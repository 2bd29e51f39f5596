"""Capture times of network streams: free of jitter, true to drift, right again after a jump."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refusion.stream.stream_clock import StreamClock

MS, S = 10**6, 10**9
PERIOD_NS = 40 * MS
START_NS = 777 * S


def times(presented_ns: list[int], arrivals_ns: list[int]) -> list[int]:
    clock = StreamClock()
    found = []
    for presented, arrival in zip(presented_ns, arrivals_ns, strict=True):
        clock.observe(presented, arrival)
        found.append(clock.time_ns(presented, arrival))
    return found


def stream(
    count: int, *, jitter_ms: float, drift_ppm: float = 0, seed: int = 0
) -> tuple[list[int], list[int]]:
    """Return presentation times and arrivals of a steady camera whose packets are held up at random."""
    jitter = np.random.default_rng(seed).exponential(jitter_ms * MS, count)
    presented = [n * PERIOD_NS for n in range(count)]
    captured = [START_NS + round(n * PERIOD_NS * (1 + drift_ppm * 1e-6)) for n in range(count)]
    return presented, [max(0, c + round(j)) for c, j in zip(captured, jitter, strict=True)]


@pytest.mark.parametrize("drift_ppm", [-200, 0, 200])
def test_jitter_of_the_network_is_no_jitter_of_the_times(drift_ppm: float) -> None:
    presented, arrivals = stream(2500, jitter_ms=20, drift_ppm=drift_ppm)
    found = np.array(times(presented, sorted(arrivals)))
    captured = START_NS + np.arange(2500) * PERIOD_NS * (1 + drift_ppm * 1e-6)
    late_ms = (found - captured)[50:] / MS
    # Arrivals are late by 20 ms in the mean, and by 92 ms in one frame of a hundred.
    assert np.percentile(np.abs(late_ms), 99) < 3
    assert np.abs(late_ms).max() < 10


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(-3 * S, 3 * S), st.integers(0, 300 * MS)), min_size=1, max_size=60),
)
def test_times_ascend_and_none_lies_in_the_future(steps: list[tuple[int, int]]) -> None:
    presented_ns, arrival_ns, presented, arrivals = 0, START_NS, [], []
    for by_ns, wait_ns in steps:
        presented_ns, arrival_ns = presented_ns + by_ns, arrival_ns + wait_ns
        presented.append(presented_ns)
        arrivals.append(arrival_ns)
    found = times(presented, arrivals)
    assert all(a < b for a, b in itertools.pairwise(found))
    # Beyond its arrival only as far as frames that came in one instant must differ.
    assert all(time - arrival <= len(steps) for time, arrival in zip(found, arrivals, strict=True))


def test_a_stream_whose_times_jump_begins_anew() -> None:
    presented, arrivals = stream(200, jitter_ms=0)
    for jump_ns in (-3600 * S, 3600 * S):
        jumped = [p + jump_ns * (n >= 100) for n, p in enumerate(presented)]
        assert times(jumped, arrivals) == arrivals


def test_after_a_pause_of_the_camera_times_are_right_within_two_seconds() -> None:
    presented, arrivals = stream(200, jitter_ms=0)
    paused = [a + 600 * MS * (n >= 100) for n, a in enumerate(arrivals)]
    assert times(presented, paused)[160:] == paused[160:]


def test_a_late_burst_keeps_its_times() -> None:
    presented, arrivals = stream(100, jitter_ms=0)
    held = [max(a, arrivals[60]) if 50 <= n < 60 else a for n, a in enumerate(arrivals)]
    assert times(presented, held) == arrivals


def test_frames_without_times_have_those_of_arrival() -> None:
    clock = StreamClock()
    assert [clock.time_ns(None, START_NS + n * MS) for n in (0, 40, 90)] == [
        START_NS,
        START_NS + 40 * MS,
        START_NS + 90 * MS,
    ]


def test_the_rate_is_measured_over_gaps() -> None:
    clock = StreamClock()
    for number in (0, 1, 2, 5, 6, 7, 8):
        clock.observe(number * 111 * MS, START_NS)
        clock.time_ns(number * 111 * MS, START_NS)
    assert clock.rate_hz == pytest.approx(1000 / 111)
