"""How long the stages of a batch take on the device, by events before and after each."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from refusion.backends.tensorrt.device import CudaDevice
from refusion.timing import StageClock


class StageMarks:
    """Of one slot: times the stages of the batch in it, where the clock asks for them.

    Everything needs the context of the device current.
    """

    def __init__(self, device: CudaDevice, clock: StageClock) -> None:
        self._device = device
        self._clock = clock
        self._events: dict[str, tuple[Any, Any]] = {}
        self._host_seconds: defaultdict[str, float] = defaultdict(float)
        self._marked: list[str] = []
        self.is_timed = False
        """Whether the batch in the slot is timed."""

    def begin(self) -> None:
        """Forget the batch before; the clock says whether the next one is timed."""
        self._host_seconds.clear()
        self._marked.clear()
        self.is_timed = self._clock.times_device

    @contextmanager
    def enqueued(self, stage: str, stream: Any) -> Iterator[None]:
        """Time what the block enqueues on a stream, from when the device comes to it."""
        if not self.is_timed:
            yield
            return
        if stage not in self._events:
            self._events[stage] = self._device.timing_event(), self._device.timing_event()
        before, after = self._events[stage]
        before.record(stream)
        yield
        after.record(stream)
        self._marked.append(stage)

    @contextmanager
    def on_host(self, stage: str) -> Iterator[None]:
        """Time the block itself, as a part of the stage."""
        started = time.perf_counter()
        yield
        if self.is_timed:
            self._host_seconds[stage] += time.perf_counter() - started

    def collect(self) -> None:
        """Give the times to the clock; all that was enqueued must be done."""
        if not self.is_timed:
            return
        for stage in dict.fromkeys((*self._host_seconds, *self._marked)):
            seconds = self._host_seconds[stage]
            if stage in self._marked:
                before, after = self._events[stage]
                seconds += after.time_since(before) / 1e3
            self._clock.add(stage, seconds)
        # Taken once: the frames of a slot may be waited for again.
        self.is_timed = False

    def close(self) -> None:
        """Let go of the events, which must go in their context."""
        self._events.clear()
