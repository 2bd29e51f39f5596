"""Moments of two recordings: each frame is given, as fast as they are taken, or at the pace of cameras."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Iterator
from typing import Any

from refusion.stream.event_log import EventLog
from refusion.stream.matching import default_max_skew_ns, matched
from refusion.stream.moments import CapturedFrame, Moment, SourceEvent, SourceReport, SourceState
from refusion.stream.read_ahead import ReadAhead
from refusion.stream.sources import Source

_NS = 1_000_000_000
_SLOWEST_LAG_NS = _NS
"""A recording that cannot be read as fast as it was taken is shown this late at most, then slower."""


class RecordedMoments:
    """Moments of two recordings; see MomentSource.

    Frame times count from the recordings' first frames, which are taken to be of one moment, unless both
    recordings know the time of day; at the pace of cameras they are times of time.monotonic_ns().
    """

    def __init__(
        self,
        infrared: Source,
        visible: Source,
        *,
        max_skew_ns: int | None,
        clock_offset_ns: int,
        realtime: bool,
        loop: bool,
    ) -> None:
        """Open both and begin to read.

        Raises:
            InputError: One cannot be opened.
        """
        self._events = EventLog()
        a = ReadAhead("infrared", infrared, loop=loop, events=self._events)
        try:
            b = ReadAhead("visible", visible, loop=loop, events=self._events)
        except BaseException:
            a.close()
            raise
        self._sides = (a, b)
        self._max_skew_ns = max_skew_ns or default_max_skew_ns(min(a.rate_hz, b.rate_hz))
        self._clock_offset_ns = clock_offset_ns
        if a.start_ns is not None and b.start_ns is not None:
            self._clock_offset_ns += a.start_ns - b.start_ns
        self._loop = loop
        self._stop = threading.Event()
        self._newest_given = [-1, -1]
        self._newest_late = [-1, -1]
        self._given = [0, 0]
        self.is_live = realtime
        self.rate_hz = max(a.rate_hz, b.rate_hz)

    def __iter__(self) -> Iterator[Moment]:
        moments = self._paced(self._all()) if self.is_live else self._all()
        for moment in moments:
            for side, frame in enumerate((moment.infrared, moment.visible)):
                if frame is not None and frame.index > self._newest_given[side]:
                    self._newest_given[side] = frame.index
                    self._given[side] += 1
            yield moment

    def stop(self) -> None:
        """End the iteration soon."""
        self._stop.set()
        for side in self._sides:
            side.stop()

    def reports(self) -> tuple[SourceReport, SourceReport]:
        """Return the figures of infrared and visible."""
        infrared, visible = (
            side.report(max(self._newest_given[number], self._newest_late[number]) + 1 - self._given[number])
            for number, side in enumerate(self._sides)
        )
        return infrared, visible

    def events(self) -> list[SourceEvent]:
        """Return the latest changes of state, oldest first."""
        return self._events.latest()

    def __enter__(self) -> RecordedMoments:
        return self

    def __exit__(self, *_: Any) -> None:
        self._stop.set()
        for side in self._sides:
            side.close()

    def _all(self) -> Iterator[Moment]:
        """Yield every moment, round after round; a round lasts as long as the longer recording."""
        shift_ns = 0
        while True:
            end_ns = 0
            for moment in self._round(shift_ns):
                end_ns = max(end_ns, moment.time_ns + abs(moment.skew_ns or 0))
                yield moment
            if not self._loop or self._stop.is_set():
                return
            shift_ns = end_ns + round(_NS / self.rate_hz)

    def _round(self, shift_ns: int) -> Iterator[Moment]:
        infrared, visible = self._sides
        frames = (
            self._shifted(infrared, shift_ns + self._clock_offset_ns),
            self._shifted(visible, shift_ns),
        )
        # The faster one leads: each of its frames gives one moment. Of two equally fast ones, the visible.
        leads = infrared.rate_hz > visible.rate_hz
        leading, following = frames if leads else frames[::-1]
        for match in matched(leading, following, max_skew_ns=self._max_skew_ns):
            if self._stop.is_set():
                return
            yield self._moment(*(match if leads else match[::-1]))

    @staticmethod
    def _shifted(side: ReadAhead, shift_ns: int) -> Iterator[CapturedFrame]:
        for frame in side.frames():
            yield dataclasses.replace(frame, time_ns=frame.time_ns + shift_ns)

    def _moment(self, infrared: CapturedFrame | None, visible: CapturedFrame | None) -> Moment:
        a, b = (
            side.state if frame is None else SourceState.live
            for side, frame in zip(self._sides, (infrared, visible), strict=True)
        )
        times = [frame.time_ns for frame in (infrared, visible) if frame is not None]
        return Moment(infrared, visible, min(times), (a, b))

    def _paced(self, moments: Iterator[Moment]) -> Iterator[Moment]:
        """Yield each moment when it is due; leave out those that are late while newer ones are ready."""
        period_ns = round(_NS / self.rate_hz)
        start_ns: int | None = None
        for moment in moments:
            now_ns = time.monotonic_ns()
            if start_ns is None:
                start_ns = now_ns - moment.time_ns
            late_ns = now_ns - (start_ns + moment.time_ns)
            if late_ns > period_ns and all(side.is_ready for side in self._sides):
                for number, frame in enumerate((moment.infrared, moment.visible)):
                    if frame is not None:
                        self._newest_late[number] = frame.index
                continue
            if late_ns > _SLOWEST_LAG_NS:
                start_ns += late_ns
            elif late_ns < 0 and self._stop.wait(-late_ns / _NS):
                return
            yield _moved(moment, start_ns)


def _moved(moment: Moment, by_ns: int) -> Moment:
    infrared, visible = (
        None if frame is None else dataclasses.replace(frame, time_ns=frame.time_ns + by_ns)
        for frame in (moment.infrared, moment.visible)
    )
    return dataclasses.replace(moment, infrared=infrared, visible=visible, time_ns=moment.time_ns + by_ns)
