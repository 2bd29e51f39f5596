"""The network of an engine behind the Protocol of all backends: arrays in, arrays out."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from refusion.backends.tensorrt.device import CudaDevice, DeviceBuffer, cuda_device
from refusion.backends.tensorrt.network import BatchShape, EngineNetwork
from refusion.errors import BackendError

if TYPE_CHECKING:
    from refusion.backends.tensorrt.loading import LoadedEngine


class TensorRTBackend:
    """Runs an engine one call at a time; `TensorRTExecutor` overlaps frames and is what streams use."""

    def __init__(self, loaded: LoadedEngine) -> None:
        """Create the execution context.

        Raises:
            BackendError: There is no GPU, the engine is not one of ours, or memory is short.
        """
        self._device = cuda_device()
        self._lock = threading.Lock()
        with self._device.active("preparing the engine"):
            self._work = _Work(self._device, loaded)
        self._description = f"{loaded.library.description}, {self._device.name}"
        self._close = self._device.closing(self, self._work.close)

    @property
    def description(self) -> str:
        return self._description

    def run(self, sources: NDArray[np.float32]) -> NDArray[np.float32]:
        batch, _, height, width = sources.shape
        shape = BatchShape(batch, height, width)
        with self._lock:
            if self._work.is_closed:
                raise BackendError("the engine is closed")
            with self._device.active(f"fusing {shape.text}"):
                return self._work.run(shape, np.ascontiguousarray(sources))

    def close(self) -> None:
        with self._lock:
            self._close()


class _Work:
    """What lives on the device, apart from its owner, so that it can outlive it until it is closed."""

    def __init__(self, device: CudaDevice, loaded: LoadedEngine) -> None:
        self._device = device
        self._network = EngineNetwork(loaded)
        self._stream = device.stream()
        self._buffers: dict[str, DeviceBuffer] = {}
        self._shape: BatchShape | None = None
        self.is_closed = False

    def run(self, shape: BatchShape, sources: NDArray[np.float32]) -> NDArray[np.float32]:
        self._network.check(shape)
        if shape != self._shape:
            self._shape = None
            addresses = {
                name: self._reserve(name, size)
                for name, size in (("sources", shape.sources_bytes), ("fused", shape.fused_bytes))
            }
            self._network.prepare(shape, **addresses)
            self._shape = shape
        fused = np.empty((shape.batch, 1, shape.height, shape.width), np.float32)
        driver, stream = self._device.driver, self._stream
        # On the stream, though memory is pageable: a plain copy and the stream would not wait for each other.
        driver.memcpy_htod_async(self._buffers["sources"].pointer, sources, stream)
        self._network.enqueue(stream.handle)
        driver.memcpy_dtoh_async(fused, self._buffers["fused"].pointer, stream)
        stream.synchronize()
        return fused

    def _reserve(self, name: str, size_bytes: int) -> int:
        held = self._buffers.get(name)
        if held is None or held.size_bytes < size_bytes:
            if held is not None:
                self._buffers.pop(name).free()
            held = self._buffers[name] = self._device.device_buffer(size_bytes)
        return held.pointer

    def close(self) -> None:
        with self._device.active("closing the engine"):
            self.is_closed = True
            self._network.close()
            for buffer in self._buffers.values():
                buffer.free()
            self._buffers.clear()
            self._stream = None
