"""The job of the CUDA operations: what can be said of it without a GPU."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("refusion._C", reason="the compiled module is not built")

from refusion import _C
from refusion.benchmarks.gpu import build_native, ops

ROOT = Path(__file__).parents[3]


def test_without_a_gpu_the_job_says_so_in_one_line() -> None:
    devices, problem = _C.cuda_devices()
    if devices:
        pytest.skip("there is a GPU")
    with pytest.raises(SystemExit, match=f"^there is no GPU to measure: {problem}$"):
        ops.main([])


@pytest.mark.parametrize(
    ("moved_bytes", "calls"), [(1000, ops.MOST_CALLS), (2**20 * 10, 52), (2**30, ops.FEWEST_CALLS)]
)
def test_the_calls_of_a_graph_go_through_more_than_the_caches_hold(moved_bytes: int, calls: int) -> None:
    assert ops.calls_of_a_graph(moved_bytes) == calls


def test_the_table_states_bandwidth_and_share_and_what_missed_the_goal() -> None:
    fast = ops.Timing("pre", "FP16", 480, 640, 3_000_000, 200, 2.0, 2.5, 1.5)
    slow = ops.Timing("post", "FP32", 1080, 1920, 20_000_000, 50, 20.0, 21.0, 10.0)
    assert ops.table([fast, slow]).splitlines()[2:] == [
        "| 640x480 | pre, FP16 | 2.00 | 2.50 | 1500 | 1.50 | 75% |",
        "| 1920x1080 | post, FP32 | 20.00 | 21.00 | 1000 | 10.00 | 50%, missed |",
    ]


def test_headers_of_pybind11_come_from_a_carried_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(tmp_path / "pybind11-3.0.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("pybind11/include/pybind11/pybind11.h", "")
    monkeypatch.setattr(build_native, "WHEEL_FOLDERS", (tmp_path,))
    monkeypatch.setattr(build_native.importlib.util, "find_spec", lambda name: None)
    headers = build_native.pybind11_headers(tmp_path / "scratch")
    assert (headers / "pybind11" / "pybind11.h").is_file()
    (tmp_path / "pybind11-3.0.0-py3-none-any.whl").unlink()
    with pytest.raises(SystemExit, match="no pybind11 for .*: install it, or torch, or put its wheel into"):
        build_native.pybind11_headers(tmp_path / "scratch")


def test_a_machine_without_tools_is_told_which(tmp_path: Path) -> None:
    if Path("/usr/local/cuda/bin/nvcc").exists() or (Path(sys.executable).parent / "cmake").exists():
        pytest.skip("the tools lie where they are always found")
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "gpu" / "build_native.py", "--force", "--output", tmp_path],
        env=os.environ | {"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "cannot be built here: there is no cmake, no c++, no nvcc on PATH" in done.stderr


def test_a_module_without_cuda_or_of_older_sources_is_built_anew(tmp_path: Path) -> None:
    assert not build_native.is_built(tmp_path)
    if not _C.build_info()["cuda"]:
        pytest.skip("the module was compiled without CUDA")
    module = shutil.copy(_C.__file__, tmp_path)
    assert build_native.is_built(tmp_path)
    os.utime(module, (1, 1))
    assert not build_native.is_built(tmp_path)
