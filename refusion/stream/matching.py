"""Which frames of two recordings belong to one moment. Nothing here waits or looks at a clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Reversible

from refusion.stream.moments import CapturedFrame

_NS = 1_000_000_000

Match = tuple[CapturedFrame | None, CapturedFrame | None]


def default_max_skew_ns(slower_rate_hz: float) -> int:
    """Return the largest skew of frames that belong together: 1.25 periods of the slower source.

    A live frame's partner may be as old as a whole period, before the next one comes; the rest is for jitter.
    """
    return max(round(1.25 * _NS / slower_rate_hz), _NS // 20)


def matched(
    leading: Iterable[CapturedFrame], following: Iterable[CapturedFrame], *, max_skew_ns: int
) -> Iterator[Match]:
    """Yield one moment for each leading frame, with the following frame that is nearest in time.

    No frame is lost: a following frame that is nearest to no leading one (because more of them come for a
    while, or the other recording has not begun or has ended) gives a moment of its own, with the nearest
    leading frame. Both go forward only. At most three following frames are held.

    Args:
        leading: Frames of the faster recording, times not descending.
        following: Frames of the other, likewise.
        max_skew_ns: Frames farther apart than this are not paired: each gives a moment alone.

    Yields:
        (leading frame, following frame), one of which may be None.
    """
    rest = iter(following)
    held: deque[CapturedFrame] = deque()
    around: deque[CapturedFrame] = deque(maxlen=2)
    used: CapturedFrame | None = None

    def passed_over() -> Iterator[Match]:
        frame = held.popleft()
        if frame is not used:
            yield nearest_of(around, frame, max_skew_ns), frame

    for frame in leading:
        around.append(frame)
        while (not held or held[-1].time_ns < frame.time_ns) and (coming := next(rest, None)) is not None:
            while held and coming.time_ns <= frame.time_ns:
                yield from passed_over()
            held.append(coming)
        nearest = nearest_of(held, frame, max_skew_ns)
        while held and held[0] is not nearest and held[0].time_ns <= frame.time_ns:
            yield from passed_over()
        yield frame, nearest
        used = nearest or used
    while held:
        yield from passed_over()
    for frame in rest:
        held.append(frame)
        yield from passed_over()


def nearest_of(
    candidates: Reversible[CapturedFrame], frame: CapturedFrame, max_skew_ns: int
) -> CapturedFrame | None:
    """Return the candidate nearest in time, of two the later; None where all are beyond the limit."""

    def distance_ns(other: CapturedFrame) -> int:
        return abs(other.time_ns - frame.time_ns)

    nearest = min(reversed(candidates), key=distance_ns, default=None)
    return nearest if nearest is not None and distance_ns(nearest) <= max_skew_ns else None
