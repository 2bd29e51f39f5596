"""The native build where the CUDA compiler is broken: without CUDA if that may be, else refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment with a CUDA compiler that cannot compile."""
    beside = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    for program in ("cmake", "c++"):
        if shutil.which(program, path=beside) is None:
            pytest.skip(f"the native build needs {program}")
    pytest.importorskip("pybind11", reason="the native build needs pybind11")
    compiler = tmp_path_factory.mktemp("compiler") / "nvcc"
    compiler.write_text("#!/bin/sh\necho 'nvcc fatal: no licence' >&2\nexit 1\n")
    compiler.chmod(0o755)
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("CUDA", "PYTHON"))}
    return variables | {"PATH": beside, "CUDACXX": str(compiler)}


def configure(build: Path, choice: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    # Debug: the module is asked, not timed.
    command = ["cmake", f"-S{ROOT}", f"-B{build}", f"-DREFUSION_CUDA={choice}", "-DCMAKE_BUILD_TYPE=Debug"]
    command.append(f"-DPython_EXECUTABLE={sys.executable}")
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


ASK = """
import json, _C
image = _C.CudaImage(4096, 4, 6, 3)
def said(call):
    try:
        return call()
    except RuntimeError as error:
        return str(error)
print(json.dumps([_C.build_info()["cuda"], _C.cuda_devices(), *map(said, (
    lambda: _C.cuda_preprocess(image, image, 4096, 4, 6, half=True, stream=0),
    lambda: _C.cuda_preprocess(
        image, image, 4096, 4, 6, half=True, stream=0, warp=_C.CudaWarp(4096, (0.0, 0.0, 5.0, 3.0))
    ),
    lambda: _C.cuda_postprocess(4096, image, image, _C.Chroma.A, 0, image, half=True, stream=0),
    lambda: _C.cuda_range_state_bytes(4, 6),
    lambda: _C.cuda_reset_range(4096, 4, 6, stream=0),
    lambda: _C.cuda_update_range(4096, 4, 6, 4096, _C.CudaRange.image, half=True, stream=0),
    lambda: _C.cuda_begin_capture(0),
    lambda: _C.cuda_end_capture(0),
))]))
"""


def test_auto_builds_without_cuda_and_every_call_says_so(broken: dict[str, str], tmp_path: Path) -> None:
    done = configure(tmp_path, "auto", broken)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "CUDA sources are left out: there is no CUDA compiler (nvcc) on PATH that works" in done.stdout
    build = ["cmake", "--build", str(tmp_path), "--parallel"]
    built = subprocess.run(build, env=broken, capture_output=True, text=True, timeout=600)
    assert built.returncode == 0, built.stdout + built.stderr
    assert "warning" not in built.stdout + built.stderr
    asked = subprocess.run(
        [sys.executable, "-c", ASK], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert asked.returncode == 0, asked.stderr
    version, devices, *messages = json.loads(asked.stdout)
    assert (version, devices) == ("", [[], "compiled without CUDA"])
    assert len(messages) == 8
    assert set(messages) == {
        "refusion was compiled without CUDA; install the CUDA toolkit (nvcc must be on PATH) and build it "
        "again with REFUSION_CUDA=on"
    }


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("on", "REFUSION_CUDA=on, but there is no CUDA compiler"),
        ("maybe", "REFUSION_CUDA must be auto, on or off, not 'maybe'"),
    ],
)
def test_what_cannot_be_had_is_refused(
    broken: dict[str, str], tmp_path: Path, choice: str, message: str
) -> None:
    done = configure(tmp_path, choice, broken)
    assert done.returncode != 0
    assert message in " ".join(done.stderr.split())
