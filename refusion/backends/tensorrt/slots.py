"""Slots: the memory of one batch in flight, and the batch that is in it."""

from __future__ import annotations

import threading
import weakref
from typing import Any, TypeGuard

import numpy as np

from refusion.backends.tensorrt.device import CudaDevice, DeviceBuffer, HostBuffer
from refusion.backends.tensorrt.layout import BatchLayout
from refusion.backends.tensorrt.stage_marks import StageMarks
from refusion.errors import BackendError
from refusion.executor import FramePairs
from refusion.frames import Frame
from refusion.timing import StageClock
from refusion.warp import Warp


class Slot:
    """Host and device memory for one batch, with the events that tell how far it is.

    On integrated GPUs host and device share their memory: the host's is mapped, and nothing is copied.
    """

    def __init__(self, device: CudaDevice, clock: StageClock) -> None:
        self._device = device
        self.marks = StageMarks(device, clock)
        self.uploaded, self.computed, self.done = (device.event() for _ in range(3))
        self._host: list[HostBuffer] = []
        self._on_device: list[DeviceBuffer] = []
        self._capacity = (0, 0)
        self._warp_serial = 0
        self._occupant: weakref.ref[PendingFrames] | None = None

    @property
    def input(self) -> int:
        """Device address of the block that the sources are in."""
        return self._addresses()[0]

    @property
    def output(self) -> int:
        """Device address of the block that the fused frames are in."""
        return self._addresses()[1]

    def _addresses(self) -> tuple[int, int]:
        if self._on_device:
            return self._on_device[0].pointer, self._on_device[1].pointer
        return self._host[0].device_pointer, self._host[1].device_pointer

    def has_room(self, input_bytes: int, output_bytes: int) -> bool:
        """Tell whether a batch fits as it is."""
        return self._capacity[0] >= input_bytes and self._capacity[1] >= output_bytes

    def reserve(self, input_bytes: int, output_bytes: int) -> None:
        """Make room. Memory only ever grows, to the largest batch that came; addresses may change.

        Nothing of the slot may be in flight, and nothing of what it held is kept.
        """
        self._warp_serial = 0
        if self.has_room(input_bytes, output_bytes):
            return
        sizes = [max(pair) for pair in zip(self._capacity, (input_bytes, output_bytes), strict=True)]
        # Given back first: both at once may be more than there is.
        self._free()
        is_mapped = self._device.is_integrated
        for size in sizes:
            self._host.append(self._device.host_buffer(size, is_mapped=is_mapped))
            if not is_mapped:
                self._on_device.append(self._device.device_buffer(size))
        self._capacity = (sizes[0], sizes[1])

    def fill(self, pairs: FramePairs, layout: BatchLayout, warp: Warp | None) -> None:
        """Copy the sources, and the nodes of a warp that is new, into the host's memory."""
        self.marks.begin()
        with self.marks.on_host("upload"):
            if self._is_new(warp):
                nodes = warp.nodes.reshape(-1).view(np.uint8)
                self._host[0].array[: nodes.size] = nodes
            for (a, b), place_a, place_b in zip(pairs, layout.a, layout.b, strict=True):
                for frame, place in ((a, place_a), (b, place_b)):
                    block = self._host[0].array[place.offset : place.offset + place.size_bytes]
                    block.reshape(place.shape)[...] = frame

    def upload(self, layout: BatchLayout, warp: Warp | None, copying: Any, computing: Any) -> None:
        """Enqueue the copy to the device, and have the computing stream wait for it."""
        if self._on_device:
            first = 0 if self._is_new(warp) else layout.frames_offset
            sources = self._host[0].array[first : layout.input_bytes]
            with self.marks.enqueued("upload", copying):
                self._device.driver.memcpy_htod_async(self.input + first, sources, copying)
            self.uploaded.record(copying)
            computing.wait_for_event(self.uploaded)
        if warp is not None:
            self._warp_serial = warp.serial

    def _is_new(self, warp: Warp | None) -> TypeGuard[Warp]:
        return warp is not None and warp.serial != self._warp_serial

    def download(self, layout: BatchLayout, copying: Any, computing: Any) -> None:
        """Enqueue the copy from the device after what was computed, and the event that says so."""
        if self._on_device:
            self.computed.record(computing)
            copying.wait_for_event(self.computed)
            fused = self._host[1].array[: layout.output_bytes]
            with self.marks.enqueued("download", copying):
                self._device.driver.memcpy_dtoh_async(fused, self.output, copying)
            self.done.record(copying)
        else:
            self.done.record(computing)

    def occupy(self, layout: BatchLayout, text: str, owner: object) -> PendingFrames:
        """Return what gives the frames of the batch that was just enqueued."""
        pending = PendingFrames(self, layout, text, owner)
        self._occupant = weakref.ref(pending)
        return pending

    def vacate(self) -> None:
        """Wait until the batch is done, and hand its frames to who waits for them.

        Raises:
            BackendError: The device failed, and nobody waits who could be told.
        """
        occupant = self._occupant() if self._occupant is not None else None
        if occupant is not None:
            occupant.collect()
        else:
            self.wait("fusing")
        self._occupant = None

    def wait(self, doing: str) -> None:
        """Wait until the batch is done; returns at once where there is none."""
        with self._device.active(doing):
            self.done.synchronize()

    def frames(self, layout: BatchLayout) -> list[Frame]:
        """Return copies of the fused frames; the batch must be done."""
        block = self._host[1].array
        with self.marks.on_host("download"):
            return [
                block[place.offset : place.offset + place.size_bytes].reshape(place.shape).copy()
                for place in layout.out
            ]

    def note_times(self) -> None:
        """Give the clock the times of the stages of the batch, which must be done."""
        with self._device.active("timing the stages"):
            self.marks.collect()

    def close(self) -> None:
        """Free everything. Events go with the last reference to them, and must go in their context."""
        self._free()
        self.marks.close()
        del self.uploaded, self.computed, self.done

    def _free(self) -> None:
        self._capacity = (0, 0)
        for buffers in (self._host, self._on_device):
            while buffers:
                buffers.pop().free()


class PendingFrames:
    """The frames of a batch in flight: taken out of its slot by who asks first, or by who needs the slot."""

    def __init__(self, slot: Slot, layout: BatchLayout, text: str, owner: object) -> None:
        self._slot: Slot | None = slot
        self._layout = layout
        self._text = text
        # Keeps what runs the batch alive while somebody waits for it.
        self._owner: object = owner
        self._lock = threading.Lock()
        self._frames: list[Frame] = []
        self._error: BackendError | None = None

    def collect(self) -> None:
        """Wait for the frames and take them out of the slot; a failure is kept for `result`."""
        with self._lock:
            if self._slot is None:
                return
            try:
                self._slot.wait(f"fusing {self._text}")
                self._frames = self._slot.frames(self._layout)
                self._slot.note_times()
            except BackendError as error:
                self._error = error
            self._slot = None
        # Outside the lock: if nobody else holds the owner it closes, and that asks this very object.
        self._owner = None

    def result(self) -> list[Frame]:
        self.collect()
        if self._error is not None:
            raise self._error
        return self._frames
