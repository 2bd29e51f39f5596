"""Two batches in flight: one goes up and one comes down while the device computes.

    upload     | sources 1 | sources 2 |           | sources 3 |
    compute                | batch 1   | batch 2   |           | batch 3
    download                           | frames 1  | frames 2  |

Each of the three is a CUDA stream, in order in itself; events order them between each other. All computing is
on one stream, so that the range of a stream of frames is followed in order, and so that one set of the
network's buffers serves both slots. Only what is copied exists twice.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from refusion.backends.tensorrt.device import CudaDevice, DeviceBuffer
from refusion.backends.tensorrt.graphs import WorkGraphs
from refusion.backends.tensorrt.layout import BatchForm, BatchLayout, Place, capacity, layout_of
from refusion.backends.tensorrt.network import SOURCES, BatchShape, EngineNetwork
from refusion.backends.tensorrt.range_states import RangeStates
from refusion.backends.tensorrt.slots import PendingFrames, Slot
from refusion.errors import BackendError
from refusion.executor import FramePairs
from refusion.ranges import OutputRange, RangePolicy
from refusion.tasks import Chroma
from refusion.timing import StageClock
from refusion.warp import Warp

if TYPE_CHECKING:
    from refusion._C import CudaImage
    from refusion.backends.tensorrt.loading import LoadedEngine

SLOTS = 2


class Pipeline:
    """What lives on the device. For one thread at a time, with the device's context current."""

    def __init__(self, device: CudaDevice, loaded: LoadedEngine, clock: StageClock) -> None:
        self._device = device
        self.network = EngineNetwork(loaded)
        self._uploading, self._computing, self._downloading = (device.stream() for _ in range(3))
        self._handle: int = self._computing.handle
        self._slots = [Slot(device, clock) for _ in range(SLOTS)]
        self._turn = 0
        self._graphs = WorkGraphs(self._handle)
        self._ranges = RangeStates(device, self._handle)
        self._planes: dict[str, DeviceBuffer] = {}
        self._shape: BatchShape | None = None
        self.is_closed = False

    @property
    def graph_problem(self) -> str:
        """Why the work is not launched as graphs; empty where it is."""
        return self._graphs.problem

    def submit(
        self,
        pairs: FramePairs,
        chroma: Sequence[Chroma],
        follower: OutputRange,
        warp: Warp | None,
        owner: object,
    ) -> PendingFrames:
        """Enqueue a batch from end to end; returns before the device is done."""
        form = BatchForm.of(pairs, chroma, follower.policy, warp)
        layout = layout_of(form)
        slot = self._taken(pairs, form, layout, warp)
        state = self._ranges.of(follower, form.height, form.width)
        self._launch(slot, form, layout, state)
        slot.download(layout, self._downloading, self._computing)
        self._turn = (self._turn + 1) % SLOTS
        return slot.occupy(layout, form.shape.text, owner)

    def luma(self, pairs: FramePairs, warp: Warp | None) -> NDArray[np.float32]:
        """Return the network's output, float32 (N, H, W); waits for it."""
        form = BatchForm.of(pairs, [Chroma.NONE] * len(pairs), RangePolicy.off, warp)
        layout = layout_of(form)
        slot = self._taken(pairs, form, layout, warp)
        self._enqueue_pre(slot, form, layout)
        self.network.enqueue(self._handle)
        fused = np.empty(form.shape, np.float32)
        self._device.driver.memcpy_dtoh_async(fused, self._planes["fused"].pointer, self._computing)
        self._computing.synchronize()
        return fused

    def _taken(self, pairs: FramePairs, form: BatchForm, layout: BatchLayout, warp: Warp | None) -> Slot:
        """Return the slot whose turn it is, with the sources on their way."""
        self._reshape(form)
        slot = self._slots[self._turn]
        slot.vacate()
        slot.fill(pairs, layout, warp)
        slot.upload(layout, warp, self._uploading, self._computing)
        return slot

    def _reshape(self, form: BatchForm) -> None:
        """Make everything ready for the shape of a batch.

        A graph holds addresses, and is void when its execution context changes, so a new shape begins with
        none. Memory is that of the largest shape so far: a shape that comes again costs no allocation.
        """
        shape, needed = form.shape, capacity(form)
        if shape == self._shape and all(slot.has_room(*needed) for slot in self._slots):
            return
        self.network.check(shape)
        self._shape = None
        self._drain()
        self._graphs.clear()
        for slot in self._slots:
            slot.reserve(*needed)
        for name, size_bytes in (("sources", shape.sources_bytes), ("fused", shape.fused_bytes)):
            self._reserve(name, size_bytes)
        self.network.prepare(
            shape, sources=self._planes["sources"].pointer, fused=self._planes["fused"].pointer
        )
        self._shape = shape

    def _reserve(self, name: str, size_bytes: int) -> None:
        held = self._planes.get(name)
        if held is None or held.size_bytes < size_bytes:
            if held is not None:
                self._planes.pop(name).free()
            self._planes[name] = self._device.device_buffer(size_bytes)

    def _launch(self, slot: Slot, form: BatchForm, layout: BatchLayout, state: int) -> None:
        stages: dict[str, Callable[[], None]] = {
            "pre": lambda: self._enqueue_pre(slot, form, layout),
            "network": lambda: self.network.enqueue(self._handle),
            "post": lambda: self._enqueue_post(slot, form, layout, state),
        }

        def enqueue_all() -> None:
            for enqueue in stages.values():
                enqueue()

        key = self._turn, form, state
        if not slot.marks.is_timed:
            self._graphs.run(key, enqueue_all)
            return
        # An event within a graph keeps no time: each stage is a graph of its own.
        for name, enqueue in stages.items():
            with slot.marks.enqueued(name, self._computing):
                self._graphs.run((*key, name), enqueue)

    def _enqueue_post(self, slot: Slot, form: BatchForm, layout: BatchLayout, state: int) -> None:
        from refusion import _C

        height, width, stream = form.height, form.width, self._handle
        for index, pair in enumerate(form.pairs):
            fused = self._planes["fused"].pointer + index * form.shape.plane_bytes
            if state:
                policy = getattr(_C.CudaRange, form.policy.value)
                _C.cuda_update_range(fused, height, width, state, policy, half=False, stream=stream)
            b = _image(slot.input, layout.b[index])
            _C.cuda_postprocess(
                fused,
                # A warped source gives no colour, and has not the size of the picture.
                b if form.warp is not None else _image(slot.input, layout.a[index]),
                b,
                getattr(_C.Chroma, pair.chroma.name),
                state,
                _image(slot.output, layout.out[index]),
                half=False,
                stream=stream,
            )

    def _enqueue_pre(self, slot: Slot, form: BatchForm, layout: BatchLayout) -> None:
        from refusion import _C

        warp = _C.CudaWarp(slot.input, form.warp.box) if form.warp is not None else None
        for index in range(len(form.pairs)):
            _C.cuda_preprocess(
                _image(slot.input, layout.a[index]),
                _image(slot.input, layout.b[index]),
                self._planes[SOURCES].pointer + 2 * index * form.shape.plane_bytes,
                form.height,
                form.width,
                half=False,
                stream=self._handle,
                warp=warp,
            )

    def _drain(self) -> None:
        for slot in self._slots:
            slot.vacate()
        self._computing.synchronize()

    def close(self) -> None:
        """Finish what is in flight, then free everything."""
        with self._device.active("closing the engine"):
            self.is_closed = True
            # Who waits for frames is told of a failure by them; here is nothing left to do about it.
            with contextlib.suppress(BackendError, self._device.driver.Error):
                self._drain()
            self._graphs.clear()
            self.network.close()
            self._ranges.close()
            for slot in self._slots:
                slot.close()
            for buffer in self._planes.values():
                buffer.free()
            # They go with the last reference to them, and must go in their context.
            del self._uploading, self._computing, self._downloading


def _image(block: int, place: Place) -> CudaImage:
    from refusion import _C

    height, width, *channels = place.shape
    return _C.CudaImage(block + place.offset, height, width, *(channels or (1,)))
