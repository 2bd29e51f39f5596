"""The NVIDIA GPUs of this machine, without importing a GPU library where the native module knows them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Gpu:
    """One GPU that CUDA sees."""

    name: str
    compute_capability: tuple[int, int]
    memory_mib: int
    is_integrated: bool
    """Whether it shares the host's memory, as on Jetson."""

    @property
    def sm(self) -> str:
        """Compute capability as compilers name it, for instance "sm87"."""
        major, minor = self.compute_capability
        return f"sm{major}{minor}"


@dataclass(frozen=True)
class GpuReport:
    """The GPUs of this machine, and why there are none where there are none."""

    gpus: tuple[Gpu, ...]
    problem: str


def find_gpus() -> GpuReport:
    """Return the GPUs that CUDA sees. Never fails: without a driver there are none, and the reason is given.

    The native module is asked where it was compiled with CUDA, else pycuda.
    """
    try:
        from refusion import _C
    except ImportError:
        return _by_pycuda("the compiled module is not installed")
    devices, problem = _C.cuda_devices()
    if not devices and not _C.build_info()["cuda"]:
        return _by_pycuda(problem)
    gpus = [
        Gpu(device.name, (device.major, device.minor), device.memory_bytes >> 20, device.integrated)
        for device in devices
    ]
    return GpuReport(tuple(gpus), problem)


def _by_pycuda(reason: str) -> GpuReport:
    try:
        import pycuda.driver as cuda
    except ImportError:  # not installed, or no driver to link to
        return GpuReport((), reason)
    try:
        cuda.init()
        devices = [cuda.Device(index) for index in range(cuda.Device.count())]
    except cuda.Error as error:
        return GpuReport((), str(error))
    attribute = cuda.device_attribute.INTEGRATED
    gpus = [
        Gpu(
            device.name(),
            device.compute_capability(),
            device.total_memory() >> 20,
            bool(device.get_attribute(attribute)),
        )
        for device in devices
    ]
    return GpuReport(tuple(gpus), "" if gpus else "no CUDA device")
