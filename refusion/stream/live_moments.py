"""Moments of two live sources: the newest pair, and one source alone while the other is away."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Iterator
from typing import Any

from refusion.stream.capture import LiveCapture
from refusion.stream.event_log import EventLog
from refusion.stream.live_matching import LiveMatcher
from refusion.stream.matching import default_max_skew_ns
from refusion.stream.moments import CapturedFrame, Moment, SourceEvent, SourceReport, SourceState
from refusion.stream.sources import Source

_NS = 1_000_000_000
_USUAL_RATE_HZ = 25.0
_RATE_FRAMES, _RATE_WAIT_S = 5, 1.0
"""What streams say of their rate is often wrong. To measure it, so many frames are waited for, so long."""
_AWAY = frozenset({SourceState.connecting, SourceState.lost, SourceState.stalled, SourceState.ended})


def default_max_age_ns(slower_rate_hz: float, clock_offset_ns: int) -> int:
    """Return the age beyond which a frame is not shown: three periods of the slower source."""
    return max(round(3 * _NS / slower_rate_hz), _NS // 2) + abs(clock_offset_ns)


class LiveMoments:
    """Moments of two live sources; see MomentSource."""

    is_live = True

    def __init__(
        self,
        infrared: Source,
        visible: Source,
        *,
        max_skew_ns: int | None,
        max_age_ns: int | None,
        clock_offset_ns: int,
    ) -> None:
        """Connect to both and wait until both have given frames.

        Raises:
            InputError: One cannot be used, or was not reached in time.
        """
        self._clock_offset_ns = clock_offset_ns
        self._change = threading.Condition()
        self._is_stopped = False
        self._log = EventLog()
        usual_ns = round(_NS / _USUAL_RATE_HZ)
        self._matcher = LiveMatcher(
            max_skew_ns=max_skew_ns or default_max_skew_ns(_USUAL_RATE_HZ),
            max_age_ns=max_age_ns or default_max_age_ns(_USUAL_RATE_HZ, clock_offset_ns),
            periods_ns=(usual_ns, usual_ns),
        )
        self._captures = (self._capture(0, "infrared", infrared), self._capture(1, "visible", visible))
        try:
            for capture in self._captures:
                capture.start()
            self._wait_for_both()
        except BaseException:
            self.__exit__()
            raise
        rates_hz = [capture.rate_hz or _USUAL_RATE_HZ for capture in self._captures]
        self.rate_hz = max(rates_hz)
        self._matcher.max_skew_ns = max_skew_ns or default_max_skew_ns(min(rates_hz))
        self._matcher.max_age_ns = max_age_ns or default_max_age_ns(min(rates_hz), clock_offset_ns)

    def __iter__(self) -> Iterator[Moment]:
        while (moment := self._next()) is not None:
            yield moment

    def stop(self) -> None:
        """End the iteration soon."""
        with self._change:
            self._is_stopped = True
            self._change.notify_all()
        for capture in self._captures:
            capture.stop()

    def reports(self) -> tuple[SourceReport, SourceReport]:
        """Return the figures of infrared and visible."""
        infrared, visible = (
            capture.report(dropped)
            for capture, dropped in zip(self._captures, self._matcher.dropped, strict=True)
        )
        return infrared, visible

    def events(self) -> list[SourceEvent]:
        """Return the latest changes of state, oldest first."""
        return self._log.latest()

    def __enter__(self) -> LiveMoments:
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()
        for capture in self._captures:
            capture.close()

    def _capture(self, side: int, name: str, source: Source) -> LiveCapture:
        def deliver(frame: CapturedFrame | None) -> None:
            with self._change:
                if frame is not None:
                    if side == 0:
                        frame = dataclasses.replace(frame, time_ns=frame.time_ns + self._clock_offset_ns)
                    self._matcher.offer(side, frame, time.monotonic_ns())
                    rate_hz = self._captures[side].rate_hz
                    if rate_hz is not None:
                        self._matcher.set_period(side, round(_NS / rate_hz))
                self._change.notify_all()

        return LiveCapture(name, source, events=self._log, deliver=deliver)

    def _wait_for_both(self) -> None:
        def all_captures_have(frames: int) -> bool:
            self._raise_errors()
            return all(capture.received >= frames for capture in self._captures)

        with self._change:
            self._change.wait_for(lambda: all_captures_have(1))
            self._change.wait_for(lambda: all_captures_have(_RATE_FRAMES), _RATE_WAIT_S)

    def _next(self) -> Moment | None:
        with self._change:
            while not self._is_stopped:
                self._raise_errors()
                now_ns = time.monotonic_ns()
                max_age_ns = self._matcher.max_age_ns
                wakes_ns = [capture.note_stall(now_ns, max_age_ns) for capture in self._captures]
                a, b = (capture.state for capture in self._captures)
                match = self._matcher.take(now_ns, is_lost=(a in _AWAY, b in _AWAY))
                if match is not None:
                    times = [frame.time_ns for frame in match if frame is not None]
                    return Moment(*match, time_ns=min(times), states=(a, b))
                wakes_ns.append(self._matcher.wake_ns)
                due_ns = min((wake for wake in wakes_ns if wake is not None), default=None)
                self._change.wait(None if due_ns is None else max(due_ns - now_ns, 0) / _NS)
            return None

    def _raise_errors(self) -> None:
        for capture in self._captures:
            if capture.error is not None:
                raise capture.error
