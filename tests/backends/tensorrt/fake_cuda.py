"""A fake of `pycuda.driver`: no GPU, but its rules. For tests on machines without one.

Kept faithfully: every call needs a context that is current in the calling thread; streams are queues whose
work is done only when somebody waits for it, directly or through an event, so that a forgotten wait shows as
stale data; page-locked memory is read and written when the copy runs, not when it is enqueued; what is
captured does not run; memory that was freed is gone. Not kept: time, parallelism, the hardware.

With a schedule, waiting for one stream lets the others run ahead at random, which finds memory that is
overwritten too early; without, nothing runs that was not asked for.
"""

from __future__ import annotations

import itertools
import random
import threading
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

Work = Callable[[], None]


class Error(Exception):
    """Base of pycuda's errors."""


class OutOfMemory(Error):
    """pycuda.driver.MemoryError."""


class LogicError(Error):
    """Wrong use."""


class LaunchError(Error):
    """Work that failed on the device; every later call fails likewise."""


@dataclass
class FakeGpu:
    """The device: memory, streams, and what was asked of it."""

    schedule: random.Random | None = None
    is_integrated: bool = False
    memory_bytes: int = 1 << 30
    memory: dict[int, np.ndarray] = field(default_factory=dict)
    streams: weakref.WeakValueDictionary[int, Stream] = field(default_factory=weakref.WeakValueDictionary)
    log: list[str] = field(default_factory=list)
    """What was enqueued and waited for, in order."""
    complaints: list[str] = field(default_factory=list)
    """What pycuda would print to standard error."""
    broken: str = ""
    """Set: the device fails from now on."""

    def __post_init__(self) -> None:
        self.lock = threading.RLock()
        self.threads = threading.local()
        self.numbers = itertools.count(1)
        self.page_locked: list[np.ndarray] = []
        self.loaded_kernels: set[object] = set()

    # Contexts

    @property
    def stack(self) -> list[object]:
        if not hasattr(self.threads, "stack"):
            self.threads.stack = []
        stack: list[object] = self.threads.stack
        return stack

    def enter(self) -> None:
        """Check what every call of the driver checks."""
        if not self.stack:
            raise LogicError("invalid device context: no context is current in this thread")
        if self.broken:
            raise LaunchError(self.broken)

    # Memory

    def allocate(self, array: np.ndarray) -> int:
        held = sum(block.nbytes for block in self.memory.values())
        if held + array.nbytes > self.memory_bytes:
            raise OutOfMemory("cuMemAlloc failed: out of memory")
        address = 0x7000_0000_0000 + (next(self.numbers) << 28)
        self.memory[address] = array
        return address

    def bytes_at(self, address: int, size: int) -> np.ndarray:
        """Return the memory behind a device address."""
        for start, block in self.memory.items():
            if start <= address and address + size <= start + block.nbytes:
                return block[address - start : address - start + size]
        raise LaunchError(f"an illegal memory access was encountered: {size} bytes at {address:#x}")

    def array_at(self, address: int, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        return self.bytes_at(address, size).view(dtype).reshape(shape)

    # Streams

    def run_until(self, event: Event, number: int) -> None:
        """Let the device work until an event has happened so many times."""
        while event.happened < number:
            if self.broken:
                raise LaunchError(self.broken)
            if self.schedule is None:
                self._advance(event.places[number])
            else:
                ready = [stream for stream in self.streams.values() if stream.queue and stream.is_ready()]
                assert ready, "the streams wait for each other"
                self.schedule.choice(ready).step()

    def _advance(self, stream: Stream) -> None:
        if not stream.is_ready():
            waited: Wait = stream.queue[0]
            self.run_until(waited.event, waited.number)
        stream.step()


@dataclass(frozen=True)
class Wait:
    """A stream's wait for an event, as it was recorded last when the wait was enqueued."""

    event: Event
    number: int


class Living:
    """What lives in a context, and complains where it is let go of outside."""

    def __init__(self, gpu: FakeGpu) -> None:
        gpu.enter()
        self.gpu = gpu

    def __del__(self) -> None:
        if not self.gpu.stack:
            self.gpu.complaints.append(f"{type(self).__name__} was let go of without a current context")


class Stream(Living):
    """pycuda.driver.Stream."""

    def __init__(self, gpu: FakeGpu, flags: int) -> None:
        super().__init__(gpu)
        assert flags == 1, "a blocking stream waits for the default stream"
        self.handle = next(gpu.numbers)
        self.queue: deque[Any] = deque()
        self.captured: list[Work] | None = None
        gpu.streams[self.handle] = self

    def put(self, work: Any) -> None:
        (self.queue if self.captured is None else self.captured).append(work)

    def is_ready(self) -> bool:
        head = self.queue[0]
        return not isinstance(head, Wait) or head.event.happened >= head.number

    def step(self) -> None:
        work = self.queue.popleft()
        if not isinstance(work, Wait):
            work()

    def wait_for_event(self, event: Event) -> None:
        with self.gpu.lock:
            self.gpu.enter()
            if event.recorded:
                self.put(Wait(event, event.recorded))

    def synchronize(self) -> None:
        with self.gpu.lock:
            self.gpu.enter()
            assert self.captured is None, "waiting for a stream breaks its capture"
            mark = Event(self.gpu, 0)
            mark.record(self)
            mark.synchronize()


class Event(Living):
    """pycuda.driver.Event."""

    def __init__(self, gpu: FakeGpu, flags: int) -> None:
        super().__init__(gpu)
        self.recorded = self.happened = 0
        self.places: dict[int, Stream] = {}

    def record(self, stream: Stream) -> None:
        with self.gpu.lock:
            self.gpu.enter()
            self.recorded += 1
            self.places[self.recorded] = stream
            number = self.recorded

            def happen() -> None:
                self.happened = number

            stream.put(happen)

    def synchronize(self) -> None:
        with self.gpu.lock:
            self.gpu.enter()
            self.gpu.log.append("wait")
            self.gpu.run_until(self, self.recorded)

    def time_since(self, earlier: Event) -> float:
        """Milliseconds; the fake knows no time."""
        assert min(self.happened, earlier.happened), "asked for the time of what has not happened"
        return 1.0


class DeviceAllocation(Living):
    """pycuda.driver.DeviceAllocation, and what page-locked arrays have as their base."""

    def __init__(self, gpu: FakeGpu, array: np.ndarray, *, is_visible: bool) -> None:
        self.array: np.ndarray | None = None
        super().__init__(gpu)
        self.address = gpu.allocate(array) if is_visible else 0
        self.array = array

    def __del__(self) -> None:
        if self.array is not None:
            super().__del__()

    def __int__(self) -> int:
        return self.address

    def get_device_pointer(self) -> int:
        assert self.address, "this memory is not mapped"
        return self.address

    def free(self) -> None:
        # Clean-up that fails on the device is a warning in pycuda, not an error.
        assert self.gpu.stack, "freed without a current context"
        assert self.array is not None, "freed twice"
        self.gpu.memory.pop(self.address, None)
        # By identity: == would compare the elements.
        self.gpu.page_locked = [block for block in self.gpu.page_locked if block is not self.array]
        self.array = None


class PageLocked(np.ndarray):
    """An array whose base is the allocation, as pycuda makes it."""

    allocation: DeviceAllocation

    @property
    def base(self) -> Any:
        return self.allocation


def create_driver(gpu: FakeGpu) -> Any:
    """Return what stands for the module `pycuda.driver`."""

    class Context:
        def push(self) -> None:
            gpu.stack.append(self)

        @staticmethod
        def pop() -> None:
            gpu.stack.pop()

        def detach(self) -> None:
            gpu.stack.remove(self)

    context = Context()

    class Device:
        def __init__(self, index: int) -> None:
            assert index == 0

        @staticmethod
        def count() -> int:
            return 1

        def name(self) -> str:
            return "Fake GPU"

        def compute_capability(self) -> tuple[int, int]:
            return 8, 9

        def get_attribute(self, attribute: str) -> int:
            assert attribute == "integrated"
            return int(gpu.is_integrated)

        def retain_primary_context(self) -> Context:
            return context

    def mem_alloc(size: int) -> DeviceAllocation:
        with gpu.lock:
            assert all(stream.captured is None for stream in gpu.streams.values()), "allocated in a capture"
            gpu.log.append("allocate")
            return DeviceAllocation(gpu, np.full(size, 0xCD, np.uint8), is_visible=True)

    def pagelocked_empty(shape: int, dtype: Any, order: str = "C", mem_flags: int = 0) -> np.ndarray:
        with gpu.lock:
            gpu.log.append("allocate")
            memory = np.full(shape, 0xCD, dtype)
            array = memory.view(PageLocked)
            array.allocation = DeviceAllocation(gpu, memory, is_visible=mem_flags == 2)
            gpu.page_locked.append(memory)
            return array

    def is_page_locked(array: np.ndarray) -> bool:
        return any(np.may_share_memory(array, block) for block in gpu.page_locked)

    def memcpy_htod_async(dest: int, src: np.ndarray, stream: Stream) -> None:
        with gpu.lock:
            gpu.enter()
            gpu.log.append("up")
            # From pageable memory the driver copies before it returns, into a buffer of its own.
            source = np.asarray(src) if is_page_locked(src) else src.copy()
            flat = source.reshape(-1).view(np.uint8)

            def copy() -> None:
                gpu.bytes_at(dest, flat.nbytes)[:] = flat

            stream.put(copy)

    def memcpy_dtoh_async(dest: np.ndarray, src: int, stream: Stream) -> None:
        with gpu.lock:
            gpu.enter()
            gpu.log.append("down")
            flat = np.asarray(dest).reshape(-1).view(np.uint8)

            def copy() -> None:
                flat[:] = gpu.bytes_at(src, flat.nbytes)

            stream.put(copy)

    def memcpy_dtod_async(dest: int, src: int, size: int, stream: Stream) -> None:
        with gpu.lock:
            gpu.enter()

            def copy() -> None:
                gpu.bytes_at(dest, size)[:] = gpu.bytes_at(src, size)

            stream.put(copy)

    return SimpleNamespace(
        Error=Error,
        MemoryError=OutOfMemory,
        LogicError=LogicError,
        LaunchError=LaunchError,
        init=lambda: None,
        Device=Device,
        Context=Context,
        Stream=lambda flags=0: Stream(gpu, flags),
        Event=lambda flags=0: Event(gpu, flags),
        event_flags=SimpleNamespace(DISABLE_TIMING=2),
        device_attribute=SimpleNamespace(INTEGRATED="integrated"),
        host_alloc_flags=SimpleNamespace(DEVICEMAP=2),
        mem_alloc=mem_alloc,
        pagelocked_empty=pagelocked_empty,
        memcpy_htod_async=memcpy_htod_async,
        memcpy_dtoh_async=memcpy_dtoh_async,
        memcpy_dtod_async=memcpy_dtod_async,
    )
