"""Live matching by a synthetic clock: nearest in time, within the limits, forward only."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refusion.stream.live_matching import LiveMatcher
from refusion.stream.matching import Match
from refusion.stream.moments import CapturedFrame

IMAGE = np.zeros((1, 1), np.uint8)
MS, S = 10**6, 10**9
NINE_HZ, THIRTY_HZ, TWENTYFIVE_HZ = S // 9, S // 30, S // 25

Arrival = tuple[int, int, int]
"""Time of arrival, side, capture time; nanoseconds."""


def run(
    arrivals: Iterable[Arrival],
    periods_ns: tuple[int, int],
    *,
    max_skew_ns: int = 140 * MS,
    max_age_ns: int = 500 * MS,
    until_ns: int | None = None,
) -> tuple[list[tuple[int, Match]], LiveMatcher]:
    """Return (when, moment) of a taker that is always ready, as frames arrive."""
    matcher = LiveMatcher(max_skew_ns=max_skew_ns, max_age_ns=max_age_ns, periods_ns=periods_ns)
    given_moments: list[tuple[int, Match]] = []
    counts = [0, 0]

    def take(now_ns: int) -> None:
        while (match := matcher.take(now_ns)) is not None:
            given_moments.append((now_ns, match))

    ordered = sorted(arrivals)
    for position, (arrival_ns, side, captured_ns) in enumerate(ordered):
        matcher.offer(side, CapturedFrame(IMAGE, captured_ns, counts[side]), arrival_ns)
        counts[side] += 1
        take(arrival_ns)
        following_ns = ordered[position + 1][0] if position + 1 < len(ordered) else until_ns
        while matcher.wake_ns is not None and following_ns is not None and matcher.wake_ns < following_ns:
            take(matcher.wake_ns)
    return given_moments, matcher


def camera(
    side: int, period_ns: int, *, seconds: float = 5, phase_ms: float = 0, late_ms: float = 0
) -> list[Arrival]:
    count = round(seconds * S / period_ns)
    times = [round(n * period_ns + phase_ms * MS) for n in range(count)]
    return [(time + round(late_ms * MS), side, time) for time in times]


def skews_ms(moments: list[tuple[int, Match]]) -> list[float]:
    return [abs(a.time_ns - b.time_ns) / MS for _, (a, b) in moments if a is not None and b is not None]


def test_nine_with_thirty_gives_thirty() -> None:
    moments, _ = run(camera(0, NINE_HZ) + camera(1, THIRTY_HZ, phase_ms=5), (NINE_HZ, THIRTY_HZ))
    assert len(skews_ms(moments)) >= 148
    assert max(skews_ms(moments)) <= 112
    # No frame waits longer than half a period of its own.
    assert (
        max(now_ns - b.time_ns for now_ns, (_, b) in moments if b is not None)
        <= THIRTY_HZ // 2 + NINE_HZ // 8
    )


@pytest.mark.parametrize("phase_ms", [1, 5, 15, 19, 21, 25, 35, 39])
def test_equal_rates_give_the_nearer_neighbour(phase_ms: float) -> None:
    moments, _ = run(
        camera(0, TWENTYFIVE_HZ, phase_ms=phase_ms) + camera(1, TWENTYFIVE_HZ),
        (TWENTYFIVE_HZ, TWENTYFIVE_HZ),
    )
    assert len(moments) == pytest.approx(125, abs=2)
    assert max(skews_ms(moments)[2:]) <= min(phase_ms, 40 - phase_ms) + 0.01


def test_a_camera_that_is_always_late_is_paired_with_what_it_saw() -> None:
    late = camera(0, TWENTYFIVE_HZ, late_ms=200)
    moments, _ = run(late + camera(1, TWENTYFIVE_HZ), (TWENTYFIVE_HZ, TWENTYFIVE_HZ), max_skew_ns=50 * MS)
    assert len(skews_ms(moments)) >= 115
    assert max(skews_ms(moments)[2:]) == 0


@pytest.mark.parametrize("late_ms", [(0, 0), (30, 0), (0, 30), (120, 10), (10, 120), (300, 0)])
@pytest.mark.parametrize("periods_ns", [(TWENTYFIVE_HZ, TWENTYFIVE_HZ), (NINE_HZ, THIRTY_HZ)])
@settings(max_examples=10, deadline=None)
@given(busy_ms=st.lists(st.integers(100, 2500), min_size=4, max_size=12))
def test_a_taker_that_is_busy_gets_pairs_all_the_same(
    late_ms: tuple[int, int], periods_ns: tuple[int, int], busy_ms: list[int]
) -> None:
    matcher = LiveMatcher(max_skew_ns=140 * MS, max_age_ns=500 * MS, periods_ns=periods_ns)
    arrivals = sorted(
        arrival
        for side in (0, 1)
        for arrival in camera(side, periods_ns[side], seconds=35, late_ms=late_ms[side], phase_ms=3 * side)
    )
    busy = iter(busy_ms)
    ready_ns, pairs = 2 * S, 0
    for number, (arrival_ns, side, captured_ns) in enumerate(arrivals):
        matcher.offer(side, CapturedFrame(IMAGE, captured_ns, number), arrival_ns)
        if arrival_ns < ready_ns:
            continue
        match = matcher.take(arrival_ns)
        if match is None:
            # Not for long: the next frames are there.
            assert arrival_ns < ready_ns + 300 * MS
            continue
        assert None not in match
        pairs += 1
        following_ms = next(busy, None)
        if following_ms is None:
            break
        ready_ns = arrival_ns + following_ms * MS
    assert pairs == len(busy_ms) + 1


def test_cameras_whose_times_never_fit_are_shown_alone_and_paired_once_they_do() -> None:
    wrong = [(now, side, time - 700 * MS) for now, side, time in camera(0, TWENTYFIVE_HZ, seconds=3)]
    right = [arrival for arrival in camera(0, TWENTYFIVE_HZ, seconds=6) if arrival[0] > 3 * S]
    moments, _ = run(
        wrong + right + camera(1, TWENTYFIVE_HZ, seconds=6, phase_ms=5),
        (TWENTYFIVE_HZ, TWENTYFIVE_HZ),
        max_skew_ns=50 * MS,
        max_age_ns=400 * MS,
    )
    alone = [now_ns for now_ns, match in moments if None in match]
    assert alone[0] == pytest.approx(0.4 * S + 300 * MS, abs=100 * MS)
    assert alone[-1] < 3.4 * S
    assert len(skews_ms(moments)) >= 65
    assert max(skews_ms(moments)[3:]) < 6


@pytest.mark.parametrize("late_ms", [(0, 0), (45, 0), (0, 45), (45, 40), (150, 20)])
@pytest.mark.parametrize("busy_ms", [0, 750])
def test_a_camera_that_was_lost_is_paired_again(late_ms: tuple[int, int], busy_ms: int) -> None:
    """Whatever was given alone meanwhile, and however the cameras lag."""
    matcher = LiveMatcher(max_skew_ns=50 * MS, max_age_ns=500 * MS, periods_ns=(TWENTYFIVE_HZ, TWENTYFIVE_HZ))
    back_ns = 4 * S
    infrared = [one for one in camera(0, TWENTYFIVE_HZ, seconds=8, late_ms=late_ms[0]) if one[2] > back_ns]
    visible = camera(1, TWENTYFIVE_HZ, seconds=8, late_ms=late_ms[1], phase_ms=7)
    ready_ns = last_alone_ns = pairs = 0
    for number, (arrival_ns, side, captured_ns) in enumerate(sorted(infrared + visible)):
        matcher.offer(side, CapturedFrame(IMAGE, captured_ns, number), arrival_ns)
        is_lost = arrival_ns < back_ns
        if arrival_ns < ready_ns or (match := matcher.take(arrival_ns, is_lost=(is_lost, False))) is None:
            continue
        if None in match:
            last_alone_ns = arrival_ns
        else:
            pairs += 1
            ready_ns = arrival_ns + busy_ms * MS
    assert last_alone_ns < back_ns + 200 * MS
    assert pairs >= (4 if busy_ms else 85)


def test_a_camera_that_stops_is_left_out_after_the_age_limit_and_paired_again_later() -> None:
    stops = [a for a in camera(0, TWENTYFIVE_HZ) if not 2 * S < a[2] < 4 * S]
    moments, _ = run(stops + camera(1, TWENTYFIVE_HZ), (TWENTYFIVE_HZ, TWENTYFIVE_HZ), max_skew_ns=50 * MS)
    alone = [now_ns for now_ns, (a, _) in moments if a is None]
    assert 2.5 * S <= alone[0] <= 2.65 * S
    assert 3.9 * S <= alone[-1] <= 4 * S
    assert len(alone) == pytest.approx(1.5 * 25, abs=3)
    last_pair_ns = max(now_ns for now_ns, (a, b) in moments if a is not None and b is not None)
    assert last_pair_ns > 4.9 * S


def test_a_camera_known_to_be_lost_is_left_out_at_once() -> None:
    matcher = LiveMatcher(max_skew_ns=50 * MS, max_age_ns=S, periods_ns=(TWENTYFIVE_HZ, TWENTYFIVE_HZ))
    matcher.offer(1, CapturedFrame(IMAGE, 10 * S, 0), 10 * S)
    assert matcher.take(10 * S) is None
    match = matcher.take(10 * S, is_lost=(True, False))
    assert match is not None
    assert match[0] is None
    assert matcher.take(10 * S, is_lost=(True, False)) is None


def test_a_slow_taker_gets_the_newest_and_the_rest_counts_as_dropped() -> None:
    matcher = LiveMatcher(max_skew_ns=50 * MS, max_age_ns=S, periods_ns=(TWENTYFIVE_HZ, TWENTYFIVE_HZ))
    for number in range(10):
        for side in (0, 1):
            matcher.offer(side, CapturedFrame(IMAGE, number * 40 * MS, number), number * 40 * MS)
    match = matcher.take(360 * MS)
    assert match is not None
    assert [frame and frame.index for frame in match] == [9, 9]
    assert matcher.dropped == (9, 9)


def test_frames_out_of_order_and_twice_are_dropped() -> None:
    matcher = LiveMatcher(max_skew_ns=50 * MS, max_age_ns=S, periods_ns=(TWENTYFIVE_HZ, TWENTYFIVE_HZ))
    for time_ms in (100, 100, 60):
        matcher.offer(0, CapturedFrame(IMAGE, time_ms * MS, 0), 100 * MS)
    assert matcher.dropped == (2, 0)


def test_memory_is_bounded_where_nobody_takes() -> None:
    matcher = LiveMatcher(max_skew_ns=50 * MS, max_age_ns=10 * S, periods_ns=(S // 1000, S // 1000))
    for number in range(1000):
        matcher.offer(0, CapturedFrame(IMAGE, number * MS, number), number * MS)
    assert matcher.dropped == (1000 - 64, 0)


DELAYS = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 900)), min_size=1, max_size=60)
"""Of each frame: time since the one before, and how late it arrives; milliseconds."""


def arrivals_of(side: int, delays: list[tuple[int, int]]) -> list[Arrival]:
    captured_ms, found = 10_000, []
    for step_ms, late_ms in delays:
        captured_ms += step_ms
        found.append(((captured_ms + late_ms) * MS, side, captured_ms * MS))
    return found


@settings(deadline=None)
@given(
    DELAYS,
    DELAYS,
    st.integers(1, 300),
    st.integers(1, 1000),
    st.sampled_from([(NINE_HZ, THIRTY_HZ), (THIRTY_HZ, NINE_HZ), (TWENTYFIVE_HZ, TWENTYFIVE_HZ)]),
)
def test_limits_hold_whatever_arrives_when(
    a: list[tuple[int, int]],
    b: list[tuple[int, int]],
    max_skew_ms: int,
    max_age_ms: int,
    periods_ns: tuple[int, int],
) -> None:
    arrivals = arrivals_of(0, a) + arrivals_of(1, b)
    moments, matcher = run(
        arrivals,
        periods_ns,
        max_skew_ns=max_skew_ms * MS,
        max_age_ns=max_age_ms * MS,
        until_ns=max(arrivals)[0] + 2 * S,
    )
    assert all(skew <= max_skew_ms for skew in skews_ms(moments))
    for now_ns, match in moments:
        for frame in match:
            assert frame is None or now_ns - frame.time_ns <= max_age_ms * MS
    for side, count in enumerate((len(a), len(b))):
        order = [match[side].time_ns for _, match in moments if match[side] is not None]
        assert order == sorted(order)
        assert len(set(order)) + matcher.dropped[side] <= count
    for (_, before), (_, after) in itertools.pairwise(moments):
        assert any(
            new is not None and (old is None or new.time_ns > old.time_ns)
            for old, new in zip(before, after, strict=True)
        )
