"""The GPU as pycuda gives it: the primary context, and the streams, events and buffers in it.

The primary context is the one that TensorRT and `refusion._C` use too, through CUDA's runtime. It is pushed
around every entry, so that any thread can be the one that enters; a context that a thread makes current once,
as pycuda.autoinit does, is missing in all others.
"""

from __future__ import annotations

import atexit
import functools
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusion.errors import BackendError

# CU_STREAM_NON_BLOCKING, which pycuda has no name for: no waiting for what others put on the default stream.
NON_BLOCKING = 1


def load_driver() -> Any:
    """Import and start pycuda's driver interface.

    Raises:
        BackendError: pycuda or NVIDIA's driver is missing, or there is no GPU.
    """
    try:
        import pycuda.driver as driver
    except ModuleNotFoundError:
        raise BackendError(
            "the GPU is driven through pycuda, which is not installed: pip install pycuda"
        ) from None
    except ImportError as error:
        raise BackendError(
            f"pycuda is installed but finds no NVIDIA driver ({error}); install the driver"
        ) from None
    try:
        driver.init()
        count = driver.Device.count()
    except driver.Error as error:
        raise BackendError(f"CUDA cannot start: {error}") from None
    if not count:
        raise BackendError("CUDA finds no GPU; CUDA_VISIBLE_DEVICES may hide it")
    return driver


class DeviceBuffer:
    """Memory on the device."""

    def __init__(self, driver: Any, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self._allocation: Any = driver.mem_alloc(size_bytes)
        self.pointer = int(self._allocation)

    def free(self) -> None:
        """Give the memory back; the context must be current."""
        self._allocation.free()


class HostBuffer:
    """Page-locked host memory, which copies run from and to at full speed and in the background."""

    def __init__(self, driver: Any, size_bytes: int, *, is_mapped: bool) -> None:
        flags = driver.host_alloc_flags.DEVICEMAP if is_mapped else 0
        self.array: NDArray[np.uint8] = driver.pagelocked_empty(size_bytes, np.uint8, mem_flags=flags)
        # pycuda's own object for the memory; views of the array have the array as their base.
        self._allocation: Any = self.array.base
        self.device_pointer = int(self._allocation.get_device_pointer()) if is_mapped else 0
        """Where the device sees the same memory; 0 where it is not mapped."""

    def free(self) -> None:
        """Give the memory back; the context must be current, and the array not be used any more."""
        self._allocation.free()


class CudaDevice:
    """The first GPU that CUDA sees (CUDA_VISIBLE_DEVICES chooses it), with its primary context.

    What the methods make lives in the context, and must be made, used and let go of inside `active()`.
    """

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        device = driver.Device(0)
        self.name = str(device.name())
        self.is_integrated = bool(device.get_attribute(driver.device_attribute.INTEGRATED))
        self.allocations = 0
        """How many buffers were ever allocated."""
        self._lock = threading.Lock()
        self._open: list[weakref.finalize[..., object]] = []
        self._context = device.retain_primary_context()

    @contextmanager
    def active(self, doing: str) -> Iterator[None]:
        """Make the context current in this thread for the block.

        Args:
            doing: What the block does, for the message of an error.

        Raises:
            BackendError: CUDA failed in the block.
        """
        try:
            self._context.push()
            try:
                yield
            finally:
                self.driver.Context.pop()
        except self.driver.MemoryError as error:
            raise BackendError(f"{self.name} has too little free memory for {doing} ({error})") from error
        # refusion._C raises RuntimeError with CUDA's words.
        except (self.driver.Error, RuntimeError) as error:
            raise BackendError(f"{self.name} failed at {doing}: {error}") from error

    def stream(self) -> Any:
        """Return a new stream."""
        return self.driver.Stream(NON_BLOCKING)

    def event(self) -> Any:
        """Return a new event, for waiting only: without a time it costs less."""
        return self.driver.Event(self.driver.event_flags.DISABLE_TIMING)

    def timing_event(self) -> Any:
        """Return a new event that keeps the time at which the device came to it."""
        return self.driver.Event()

    def device_buffer(self, size_bytes: int) -> DeviceBuffer:
        """Allocate memory on the device."""
        self._count()
        return DeviceBuffer(self.driver, size_bytes)

    def host_buffer(self, size_bytes: int, *, is_mapped: bool = False) -> HostBuffer:
        """Allocate page-locked memory."""
        self._count()
        return HostBuffer(self.driver, size_bytes, is_mapped=is_mapped)

    def _count(self) -> None:
        with self._lock:
            self.allocations += 1

    def closing(self, owner: object, close: Callable[[], None]) -> Callable[[], object]:
        """Have resources closed when their owner goes, or the process ends; return what closes them now.

        Args:
            owner: Who uses them.
            close: Closes them; must not refer to the owner. It is called once.
        """
        finalizer = weakref.finalize(owner, close)
        with self._lock:
            self._open = [earlier for earlier in self._open if earlier.alive]
            self._open.append(finalizer)
        return finalizer

    def shut_down(self) -> None:
        """Close what is still open, and let the primary context go."""
        for finalizer in reversed(self._open):
            finalizer()
        # pycuda lets go only of a context that is current, or in the thread that retained it.
        self._context.push()
        self._context.detach()


@functools.cache
def cuda_device() -> CudaDevice:
    """Return the GPU; the same object at every call.

    It is kept until the process ends, as CUDA's runtime keeps its own hold on the same context: pycuda ties
    whatever lives in a context to the object that retained it, and leaves a context that it lets go of
    current in the thread.

    Raises:
        BackendError: See load_driver, or the context cannot be made.
    """
    driver = load_driver()
    try:
        device = CudaDevice(driver)
    except driver.Error as error:
        raise BackendError(f"CUDA cannot open the GPU: {error}") from error
    # Not left to weakref's own handler at exit, which may come before this one or after it.
    atexit.register(device.shut_down)
    return device
