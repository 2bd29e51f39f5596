"""Matching of two recordings: nearest in time, never beyond the limit, in order, and nothing lost."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refusion.stream.matching import matched
from refusion.stream.moments import CapturedFrame

IMAGE = np.zeros((1, 1), np.uint8)
MS = 1_000_000


def frames(times_ms: list[int]) -> list[CapturedFrame]:
    return [CapturedFrame(IMAGE, time_ms * MS, index) for index, time_ms in enumerate(times_ms)]


def times(leading_ms: list[int], following_ms: list[int], max_skew_ms: int) -> list[tuple[int | None, ...]]:
    matches = matched(frames(leading_ms), frames(following_ms), max_skew_ns=max_skew_ms * MS)
    return [tuple(None if frame is None else frame.time_ns // MS for frame in match) for match in matches]


@pytest.mark.parametrize(
    ("leading_ms", "following_ms", "expected"),
    [
        ([0, 40, 80], [0, 40, 80], [(0, 0), (40, 40), (80, 80)]),
        ([0, 33, 66, 99], [0, 111], [(0, 0), (33, 0), (66, 111), (99, 111)]),
        # A gap in the leading one: the other is shown alone where it is too far from any frame.
        ([0, 400], [0, 100, 200, 300, 400], [(0, 0), (0, 100), (None, 200), (400, 300), (400, 400)]),
        # One begins later and ends later.
        ([300, 400], [0, 300, 700], [(None, 0), (300, 300), (400, 300), (None, 700)]),
        ([0, 40], [], [(0, None), (40, None)]),
        ([], [0, 40], [(None, 0), (None, 40)]),
        ([0, 0, 40], [0, 40, 40], [(0, 0), (0, 0), (40, 40), (40, 40)]),
    ],
)
def test_moments(
    leading_ms: list[int], following_ms: list[int], expected: list[tuple[int | None, ...]]
) -> None:
    assert times(leading_ms, following_ms, 100) == expected


ASCENDING = st.lists(st.integers(0, 3000), max_size=40).map(sorted)


@settings(deadline=None)
@given(ASCENDING, ASCENDING, st.integers(0, 500))
def test_nothing_is_lost_and_nothing_goes_back(
    leading_ms: list[int], following_ms: list[int], limit_ms: int
) -> None:
    matches = list(matched(frames(leading_ms), frames(following_ms), max_skew_ns=limit_ms * MS))
    for side, given_ms in enumerate((leading_ms, following_ms)):
        order = [match[side].index for match in matches if match[side] is not None]
        assert order == sorted(order)
        assert set(order) == set(range(len(given_ms)))
    for a, b in matches:
        assert a is not None or b is not None
        assert a is None or b is None or abs(a.time_ns - b.time_ns) <= limit_ms * MS


@settings(deadline=None)
@given(ASCENDING, ASCENDING, st.integers(0, 500))
def test_each_leading_frame_comes_with_the_nearest(
    leading_ms: list[int], following_ms: list[int], limit_ms: int
) -> None:
    matches = list(matched(frames(leading_ms), frames(following_ms), max_skew_ns=limit_ms * MS))
    for index, time_ms in enumerate(leading_ms):
        least_ms = min((abs(other - time_ms) for other in following_ms), default=10_000)
        skews = [
            None if b is None else abs(b.time_ns // MS - time_ms)
            for a, b in matches
            if a is not None and a.index == index
        ]
        assert (least_ms if least_ms <= limit_ms else None) in skews


def test_endless_recordings_are_not_read_ahead() -> None:
    def endless(period_ms: int) -> itertools.chain[CapturedFrame]:
        return itertools.chain.from_iterable(frames([n * period_ms]) for n in itertools.count())

    matches = matched(endless(33), endless(111), max_skew_ns=100 * MS)
    assert len(list(itertools.islice(matches, 1000))) == 1000
