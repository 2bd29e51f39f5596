"""The capture time of a network stream's frames, on this machine's monotonic clock."""

from __future__ import annotations

import statistics
from collections import deque

_NS = 1_000_000_000
_WINDOW_NS = 2 * _NS
_BUCKET_NS = _NS // 4
_JUMP_NS = _NS
_INTERVALS = 15


class StreamClock:
    """Maps a stream's own presentation times to time.monotonic_ns().

    A frame arrives late by a different amount each time, but never early: arrival minus presentation time
    is smallest for the frame that was least held up. The smallest of the last two seconds is taken as the
    distance of the two clocks. So jitter of the network does not become jitter of the times; a camera's
    clock that runs at another speed is followed (100 ppm is 0.2 ms in the window); and after a pause of
    the stream, which shifts all that comes after it, times are right again within the window. Where a time
    is off by more than a second, the stream's clock has jumped and the mapping begins anew.

    What it cannot know is the delay that every frame has (exposure, encoding, the shortest way through the
    network): that is what the clock offset between two cameras is for.
    """

    def __init__(self) -> None:
        # (end of the bucket, smallest distance in it); the window slides bucket by bucket.
        self._buckets: deque[tuple[int, int]] = deque()
        self._last_ns: int | None = None
        self._last_frame_ns: int | None = None
        self._intervals: deque[int] = deque(maxlen=_INTERVALS)

    def observe(self, presented_ns: int, arrival_ns: int) -> None:
        """Learn from a packet that arrives.

        Args:
            presented_ns: Its presentation time, of the stream's clock.
            arrival_ns: time.monotonic_ns() of its arrival.
        """
        distance_ns = arrival_ns - presented_ns
        if self._buckets and abs(distance_ns - self._distance_ns()) > _JUMP_NS:
            self._buckets.clear()
        while self._buckets and self._buckets[0][0] <= arrival_ns - _WINDOW_NS:
            self._buckets.popleft()
        if self._buckets and arrival_ns < self._buckets[-1][0]:
            end_ns, least_ns = self._buckets[-1]
            self._buckets[-1] = (end_ns, min(least_ns, distance_ns))
        else:
            self._buckets.append((arrival_ns + _BUCKET_NS, distance_ns))

    def time_ns(self, presented_ns: int | None, arrival_ns: int) -> int:
        """Return the monotonic time of a frame; always later than the one before.

        Args:
            presented_ns: Its presentation time; None where it has none: then it is taken to be new.
            arrival_ns: time.monotonic_ns() of its arrival.
        """
        frame_ns = arrival_ns if presented_ns is None else presented_ns
        if self._last_frame_ns is not None:
            self._intervals.append(frame_ns - self._last_frame_ns)
        self._last_frame_ns = frame_ns
        time_ns = arrival_ns
        if presented_ns is not None and self._buckets:
            time_ns = presented_ns + self._distance_ns()
        if self._last_ns is not None:
            time_ns = max(time_ns, self._last_ns + 1)
        self._last_ns = time_ns
        return time_ns

    @property
    def rate_hz(self) -> float | None:
        """Frames a second: the median of the last intervals; None before three of them."""
        return median_rate_hz(self._intervals)

    def _distance_ns(self) -> int:
        return min(least_ns for _, least_ns in self._buckets)


def median_rate_hz(intervals_ns: deque[int]) -> float | None:
    """Return the rate of frames with these intervals; None before three of them, and where it is absurd."""
    if len(intervals_ns) < 3:
        return None
    interval_ns = statistics.median(intervals_ns)
    return _NS / interval_ns if interval_ns >= _NS / 1000 else None
