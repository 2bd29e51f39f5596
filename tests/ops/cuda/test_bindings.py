"""The CUDA bindings: arguments that do not fit, machines without a GPU, and capture on machines with one."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Any

import numpy as np
import pytest

_C = pytest.importorskip("refusion._C", reason="the compiled module is not built")

ADDRESS = 4096


def image(**changed: Any) -> Any:
    arguments = {"pointer": ADDRESS, "height": 4, "width": 6, "channels": 3} | changed
    return _C.CudaImage(**arguments)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"channels": 2}, r"channels must be 1 \(gray\) or 3 \(BGR\), not 2"),
        ({"bits": 12}, "bits must be 8 or 16, not 12"),
        ({"height": 0}, "the size must be 1x1 to 268435456 pixels, not 6x0"),
        ({"width": -6}, "the size must be 1x1 to 268435456 pixels, not -6x4"),
        ({"height": 2**20, "width": 2**20}, "the size must be 1x1 to 268435456 pixels, not 1048576x1048576"),
        ({"pointer": 0}, "pointer must be an address that is a multiple of 1, not 0"),
        ({"pointer": 4097, "bits": 16}, "pointer must be an address that is a multiple of 2, not 4097"),
        ({"row_bytes": 17}, "row_bytes must be 0, or at least the 18 of a row and a multiple of 1, not 17"),
        (
            {"row_bytes": 37, "bits": 16},
            "row_bytes must be 0, or at least the 36 of a row and a multiple of 2, not 37",
        ),
        (
            {"levels": (9.0, 9.0)},
            r"levels must be low < high, both finite, not \(9.000000, 9.000000\)",
        ),
        ({"levels": (0.0, float("nan"))}, r"levels must be low < high, both finite, not \(0.000000, nan\)"),
    ],
)
def test_an_image_that_cannot_be_is_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        image(**changed)


def preprocess(**changed: Any) -> None:
    arguments = {"a": image(), "b": image(channels=1), "out": ADDRESS, "height": 4, "width": 6}
    _C.cuda_preprocess(**(arguments | {"half": False, "stream": 0} | changed))


def warp(**changed: Any) -> Any:
    return _C.CudaWarp(**({"nodes": ADDRESS, "box": (-0.5, -0.5, 5.5, 3.5)} | changed))


def postprocess(**changed: Any) -> None:
    arguments = {
        "fused": ADDRESS,
        "a": image(),
        "b": image(),
        "chroma": _C.Chroma.A,
        "state": 0,
        "out": image(),
    }
    _C.cuda_postprocess(**(arguments | {"half": False, "stream": 0} | changed))


def update_range(**changed: Any) -> None:
    arguments = {"fused": ADDRESS, "height": 4, "width": 6, "state": ADDRESS, "policy": _C.CudaRange.tracked}
    _C.cuda_update_range(**(arguments | {"half": False, "stream": 0} | changed))


def reset_range(**changed: Any) -> None:
    _C.cuda_reset_range(**({"state": ADDRESS, "height": 4, "width": 6, "stream": 0} | changed))


NEEDS_CUDA = pytest.mark.skipif(not _C.build_info()["cuda"], reason="the module was compiled without CUDA")


@NEEDS_CUDA
@pytest.mark.parametrize(
    ("call", "changed", "message"),
    [
        (
            preprocess,
            {"width": 5},
            "a must be of the size of the network's planes, 5x4, not 6x4",
        ),
        (
            preprocess,
            {"b": image(height=5)},
            "b must be of the size of the network's planes, 6x4, not 6x5",
        ),
        (
            preprocess,
            {"warp": warp(), "b": image(height=5)},
            "b must be of the size of the network's planes, 6x4, not 6x5",
        ),
        (
            preprocess,
            {"warp": warp(nodes=0)},
            "the warp's nodes must be at an address that is a multiple of 8",
        ),
        (preprocess, {"warp": warp(nodes=4100)}, "a multiple of 8, not 4100"),
        (
            preprocess,
            {"warp": warp(box=(0.0, 0.0, float("nan"), 1.0))},
            r"the warp's box must be left < right and top < bottom, not \(0.0.*, 0.0.*, nan, 1.0.*\)",
        ),
        (preprocess, {"out": 0}, "out must be an address that is a multiple of 4, not 0"),
        (preprocess, {"out": 4097, "half": True}, "out must be an address that is a multiple of 2, not 4097"),
        (preprocess, {"height": 0}, "out must be 1x1 to 268435456 pixels, not 6x0"),
        (postprocess, {"fused": 4098}, "fused must be an address that is a multiple of 4, not 4098"),
        (postprocess, {"a": image(width=7)}, "a must be of the size of the network's planes, 6x4"),
        (postprocess, {"chroma": _C.Chroma.NONE}, r"out must be of 1 channel\(s\) for this chroma, not of 3"),
        (
            postprocess,
            {"out": image(channels=1)},
            r"out must be of 3 channel\(s\) for this chroma, not of 1",
        ),
        (postprocess, {"out": image(bits=16)}, "out must be 8-bit without levels, not one with them"),
        (postprocess, {"state": 4104}, "state must be aligned to 16 bytes, not at 4104"),
        (update_range, {"state": 0}, "state must be a range state, not 0"),
        (update_range, {"fused": 0}, "fused must be an address that is a multiple of 4, not 0"),
        (reset_range, {"state": 0}, "state must be a range state, not 0"),
        (reset_range, {"width": 0}, "the size must be 1x1 to 268435456 pixels, not 0x4"),
    ],
)
def test_calls_whose_arguments_do_not_fit_are_refused(
    call: Any, changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        call(**changed)


@NEEDS_CUDA
def test_the_range_state_grows_with_the_thumbnail() -> None:
    assert _C.cuda_range_state_bytes(17, 9) - _C.cuda_range_state_bytes(16, 8) == 4 * (3 * 2 - 2 * 1)


@pytest.mark.parametrize(
    "call",
    [
        preprocess,
        lambda: preprocess(a=image(height=9), warp=warp()),
        postprocess,
        update_range,
        reset_range,
        lambda: _C.cuda_begin_capture(0),
        lambda: _C.cuda_end_capture(0),
    ],
)
def test_without_a_gpu_calls_say_why_they_fail(call: Any) -> None:
    devices, problem = _C.cuda_devices()
    if devices:
        pytest.skip("there is a GPU")
    expected = problem if _C.build_info()["cuda"] else "compiled without CUDA; install the CUDA toolkit"
    with pytest.raises(RuntimeError, match=expected):
        call()


def test_the_module_has_every_promised_architecture() -> None:
    program = shutil.which("cuobjdump")
    if program is None or not _C.build_info()["cuda"]:
        pytest.skip("needs cuobjdump and a module compiled with CUDA")
    if "CUDAARCHS" in os.environ:
        pytest.skip("CUDAARCHS may have chosen other architectures")
    compiler = os.environ.get("CUDACXX") or "nvcc"
    known = subprocess.run([compiler, "--list-gpu-arch"], capture_output=True, text=True, check=True).stdout
    wanted = [sm for sm in (75, 80, 86, 87, 89, 90, 100, 120) if f"compute_{sm}\n" in f"{known}\n"]
    listed = subprocess.run([program, "--list-elf", _C.__file__], capture_output=True, text=True, check=True)
    assert [sm for sm in wanted if f"sm_{sm}." not in listed.stdout] == []
    intermediate = subprocess.run(
        [program, "--list-ptx", _C.__file__], capture_output=True, text=True, check=True
    )
    assert f"sm_{wanted[-1]}." in intermediate.stdout


def test_cuda_is_compiled_where_there_is_a_compiler() -> None:
    if shutil.which("nvcc") is None:
        pytest.skip("there is no nvcc on PATH")
    if os.environ.get("REFUSION_CUDA", "auto").lower() == "off":
        pytest.skip("REFUSION_CUDA=off")
    assert _C.build_info()["cuda"], f"{_C.__file__} has no CUDA; build it anew"


@pytest.mark.gpu
def test_a_captured_graph_does_the_work_again(device_engine: Any) -> None:
    import torch

    stream = torch.cuda.Stream()
    random = np.random.default_rng(0)
    frames = torch.from_numpy(random.integers(0, 256, (48, 64), np.uint8)).cuda()
    out = torch.zeros((2, 48, 64), device="cuda")
    torch.cuda.synchronize()
    source = _C.CudaImage(frames.data_ptr(), 48, 64, 1)

    def enqueue() -> None:
        _C.cuda_preprocess(source, source, out.data_ptr(), 48, 64, half=False, stream=stream.cuda_stream)

    enqueue()
    stream.synchronize()
    _C.cuda_begin_capture(stream.cuda_stream)
    enqueue()
    graph = _C.cuda_end_capture(stream.cuda_stream)
    for level in (7, 200):
        frames.fill_(level)
        torch.cuda.synchronize()
        graph.launch(stream.cuda_stream)
        stream.synchronize()
        np.testing.assert_allclose(out.cpu().numpy(), level / 255, rtol=1e-6)


@pytest.mark.gpu
def test_a_broken_capture_leaves_the_stream_usable(device_engine: Any) -> None:
    import torch

    stream = torch.cuda.Stream()
    with pytest.raises(RuntimeError, match="cudaStreamEndCapture failed"):
        _C.cuda_end_capture(stream.cuda_stream)
    state = torch.zeros(_C.cuda_range_state_bytes(4, 6), dtype=torch.uint8, device="cuda")
    _C.cuda_reset_range(state.data_ptr(), 4, 6, stream=stream.cuda_stream)
    stream.synchronize()
