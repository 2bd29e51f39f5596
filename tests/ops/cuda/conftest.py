"""The CUDA operations on two engines: their kernels' bodies compiled for the host, and a real GPU.

Both offer the functions of `refusion._C`, and memory to call them with, so that every test runs on both.
"""

from __future__ import annotations

import ctypes
import importlib.util
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

CSRC = Path(__file__).parents[3] / "csrc"
GUARD_BYTES = 256
"""Lies around every buffer on the host, and is looked at when it is read back."""


class _ImageArguments(ctypes.Structure):
    _fields_ = [
        ("pointer", ctypes.c_size_t),
        ("height", ctypes.c_ssize_t),
        ("width", ctypes.c_ssize_t),
        ("row_bytes", ctypes.c_ssize_t),
        ("channels", ctypes.c_int),
        ("bits", ctypes.c_int),
        ("low", ctypes.c_float),
        ("high", ctypes.c_float),
    ]


class _WarpArguments(ctypes.Structure):
    _fields_ = [("nodes", ctypes.c_size_t), ("box", ctypes.c_float * 4)]


class HostMemory:
    """A buffer whose address is that of device memory: a multiple of 256, and `offset` more."""

    def __init__(self, content: np.ndarray, offset: int = 0) -> None:
        content = np.ascontiguousarray(content)
        self._raw = np.full(content.nbytes + offset + 3 * GUARD_BYTES, 0xA5, np.uint8)
        self._start = -self._raw.ctypes.data % GUARD_BYTES + GUARD_BYTES + offset
        self._like = content
        self._bytes()[:] = content.reshape(-1).view(np.uint8)
        self.pointer = self._raw.ctypes.data + self._start

    def _bytes(self) -> np.ndarray:
        return self._raw[self._start : self._start + self._like.nbytes]

    def read(self) -> np.ndarray:
        guards = np.concatenate((self._raw[: self._start], self._raw[self._start + self._like.nbytes :]))
        assert (guards == 0xA5).all(), "written beside the buffer"
        return self._bytes().copy().view(self._like.dtype).reshape(self._like.shape)


RANGE_CONSTANTS = (
    "headroom",
    "band",
    "expansion",
    "contraction",
    "largest_step",
    "least_range",
    "shoulder",
    "scene_cut",
)
"""Of refusion.ranges, in lower case."""


class HostEngine:
    """Calls the bodies thread after thread, with the names and arguments of `refusion._C`."""

    Chroma = SimpleNamespace(NONE=0, A=1, B=2, BOTH=3)
    CudaRange = SimpleNamespace(image=0, tracked=1)
    memory = HostMemory
    range_constants = RANGE_CONSTANTS

    def __init__(self, library: ctypes.CDLL) -> None:
        self.library = library
        for name in RANGE_CONSTANTS:
            getattr(library, name).restype = ctypes.c_double
        for name in ("range_state_size", "range_header_size"):
            getattr(library, name).restype = ctypes.c_size_t
        library.half_value.restype = ctypes.c_float
        library.half_bits.restype = ctypes.c_uint16
        library.half_bits.argtypes = [ctypes.c_float]
        self.wide = 0

    def CudaImage(
        self,
        pointer: int,
        height: int,
        width: int,
        channels: int,
        *,
        bits: int = 8,
        row_bytes: int = 0,
        levels: tuple[float, float] = (0.0, 255.0),
    ) -> _ImageArguments:
        return _ImageArguments(pointer, height, width, row_bytes, channels, bits, *levels)

    def CudaWarp(self, nodes: int, box: tuple[float, float, float, float]) -> _WarpArguments:
        return _WarpArguments(nodes, (ctypes.c_float * 4)(*box))

    def cuda_preprocess(
        self,
        a: Any,
        b: Any,
        out: int,
        height: int,
        width: int,
        *,
        half: bool,
        stream: int,
        warp: _WarpArguments | None = None,
    ) -> None:
        images = (ctypes.byref(a), ctypes.byref(warp) if warp is not None else None, ctypes.byref(b))
        size = (ctypes.c_ssize_t(height), ctypes.c_ssize_t(width))
        self.wide = self.library.preprocess(*images, ctypes.c_void_p(out), *size, int(half))

    def cuda_range_state_bytes(self, height: int, width: int) -> int:
        return int(self.library.range_state_size(ctypes.c_ssize_t(height), ctypes.c_ssize_t(width)))

    def cuda_reset_range(self, state: int, height: int, width: int, *, stream: int) -> None:
        ctypes.memset(state, 0, self.library.range_header_size())

    def cuda_update_range(
        self, fused: int, height: int, width: int, state: int, policy: int, *, half: bool, stream: int
    ) -> None:
        size = (ctypes.c_ssize_t(height), ctypes.c_ssize_t(width))
        call = self.library.update_range
        self.wide = call(ctypes.c_void_p(fused), *size, ctypes.c_size_t(state), policy, int(half))

    def cuda_postprocess(
        self, fused: int, a: Any, b: Any, chroma: int, state: int, out: Any, *, half: bool, stream: int
    ) -> None:
        images = (ctypes.byref(a), ctypes.byref(b))
        rest = (chroma, ctypes.c_size_t(state), ctypes.byref(out), int(half))
        self.wide = self.library.postprocess(ctypes.c_void_p(fused), *images, *rest)

    def synchronize(self) -> None:
        """Nothing is ever under way."""


class DeviceMemory:
    """A buffer on the GPU, through PyTorch."""

    def __init__(self, content: np.ndarray, offset: int = 0) -> None:
        import torch

        content = np.ascontiguousarray(content)
        self._offset, self._like = offset, content
        raw = np.concatenate((np.zeros(offset, np.uint8), content.reshape(-1).view(np.uint8)))
        self._tensor = torch.from_numpy(raw).cuda()
        self.pointer = self._tensor.data_ptr() + offset

    def read(self) -> np.ndarray:
        raw = self._tensor.cpu().numpy()[self._offset :]
        return raw.copy().view(self._like.dtype).reshape(self._like.shape)


class DeviceEngine:
    """The bindings themselves."""

    memory = DeviceMemory

    def __init__(self, module: Any) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    def synchronize(self) -> None:
        import torch

        torch.cuda.synchronize()


@pytest.fixture(scope="session")
def host_engine(tmp_path_factory: pytest.TempPathFactory) -> HostEngine:
    """The bodies, compiled by the C++ compiler."""
    compiler = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("no C++ compiler to compile the kernels' bodies for the host")
    library = tmp_path_factory.mktemp("cuda") / "on_host.so"
    command = [compiler, "-std=c++17", "-O2", "-ffp-contract=off", "-shared", "-fPIC", "-Wall", "-Wextra"]
    command += ["-Werror", f"-I{CSRC / 'include'}", f"-I{CSRC / 'cuda'}"]
    done = subprocess.run(
        [*command, str(Path(__file__).parent / "on_host.cpp"), "-o", str(library)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return HostEngine(ctypes.CDLL(str(library)))


@pytest.fixture
def device_engine() -> DeviceEngine:
    """The GPU, where there is one."""
    module = pytest.importorskip("refusion._C", reason="the compiled module is not built")
    devices, problem = module.cuda_devices()
    if not devices:
        pytest.skip(f"no GPU: {problem}")
    if importlib.util.find_spec("torch") is None:
        pytest.skip("the tests on a GPU take their memory from torch, which is not installed")
    import torch

    if not torch.cuda.is_available():
        pytest.skip("this torch was built without CUDA")
    return DeviceEngine(module)


@pytest.fixture(params=["host", pytest.param("device", marks=pytest.mark.gpu)])
def engine(request: pytest.FixtureRequest) -> HostEngine | DeviceEngine:
    """Both engines, one after the other."""
    return request.getfixturevalue(f"{request.param}_engine")
