"""The output range of each stream, where its state lives on the device."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from refusion.backends.tensorrt.device import CudaDevice, DeviceBuffer
from refusion.ranges import OutputRange, RangePolicy


class _State(NamedTuple):
    buffer: DeviceBuffer
    size: tuple[int, int]
    give_back: Callable[[], object]


class RangeStates:
    """Gives each follower its state: `OutputRange` says what it must do, and holds nothing here itself.

    States are reset and reused in the order of one stream: none is overwritten under work in flight.
    """

    def __init__(self, device: CudaDevice, stream: int) -> None:
        self._device = device
        self._stream = stream
        self._of_stills = OutputRange(RangePolicy.image)
        self._states: weakref.WeakKeyDictionary[OutputRange, _State] = weakref.WeakKeyDictionary()
        # Of followers that are gone. A follower may go in any thread, where nothing but this is done.
        self._spare: deque[DeviceBuffer] = deque()
        self._buffers: list[DeviceBuffer] = []

    def of(self, follower: OutputRange, height: int, width: int) -> int:
        """Return the address of the follower's state for frames of that size; 0 where its range is off."""
        if follower.policy is RangePolicy.off:
            return 0
        # The range of a still begins anew each time, so all share one state, and so their graphs.
        owner = self._of_stills if follower.policy is RangePolicy.image else follower
        state = self._states.get(owner)
        if state is None or state.size != (height, width):
            state = self._begin(owner, state, height, width)
        return state.buffer.pointer

    def _begin(self, owner: OutputRange, before: _State | None, height: int, width: int) -> _State:
        from refusion import _C

        if before is not None:
            before.give_back()
        buffer = self._take(_C.cuda_range_state_bytes(height, width))
        _C.cuda_reset_range(buffer.pointer, height, width, stream=self._stream)
        give_back = weakref.finalize(owner, self._spare.append, buffer)
        give_back.atexit = False
        state = self._states[owner] = _State(buffer, (height, width), give_back)
        return state

    def _take(self, needed: int) -> DeviceBuffer:
        for _ in range(len(self._spare)):
            buffer = self._spare.popleft()
            if buffer.size_bytes >= needed:
                return buffer
            self._spare.append(buffer)
        buffer = self._device.device_buffer(needed)
        self._buffers.append(buffer)
        return buffer

    def close(self) -> None:
        """Free all states."""
        self._states.clear()
        self._spare.clear()
        for buffer in self._buffers:
            buffer.free()
        self._buffers.clear()
