"""A source of moments that tests write down: no cameras, no threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

from refusion.stream.moments import (
    CapturedFrame,
    Moment,
    RawFrame,
    SourceEvent,
    SourceReport,
    SourceState,
)

BOTH_LIVE = (SourceState.live, SourceState.live)


def moment(
    index: int, infrared: RawFrame | None, visible: RawFrame | None, *, time_ns: int, skew_ns: int = 0
) -> Moment:
    """A moment of two frames, or of one of them."""
    return Moment(
        None if infrared is None else CapturedFrame(infrared, time_ns + skew_ns, index),
        None if visible is None else CapturedFrame(visible, time_ns, index),
        time_ns,
        BOTH_LIVE,
    )


class WrittenMoments:
    """Gives moments one after the other; ends, fails, or waits to be stopped after the last."""

    def __init__(
        self,
        moments: Iterable[Moment],
        *,
        is_live: bool = False,
        rate_hz: float = 25.0,
        failure: Exception | None = None,
        endless: bool = False,
    ) -> None:
        self.is_live = is_live
        self.rate_hz = rate_hz
        self.closed = 0
        self.given = 0
        self._moments = moments
        self._failure = failure
        self._endless = endless
        self._stopped = threading.Event()

    def __iter__(self) -> Iterator[Moment]:
        for one in self._moments:
            if self._stopped.is_set():
                return
            self.given += 1
            yield one
        if self._failure is not None:
            raise self._failure
        if self._endless:
            assert self._stopped.wait(60)

    def stop(self) -> None:
        self._stopped.set()

    def reports(self) -> tuple[SourceReport, SourceReport]:
        infrared, visible = (
            SourceReport(name, "written:", SourceState.live, (64, 48), self.given, 0, 0)
            for name in ("infrared", "visible")
        )
        return infrared, visible

    def events(self) -> list[SourceEvent]:
        return [SourceEvent("visible", SourceState.live, "connected", time.monotonic_ns())]

    def __enter__(self) -> WrittenMoments:
        return self

    def __exit__(self, *_: Any) -> None:
        self.closed += 1
