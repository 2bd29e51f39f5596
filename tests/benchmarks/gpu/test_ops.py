"""The job of the CUDA operations: what can be said of it without a GPU."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("refusion._C", reason="the compiled module is not built")

from refusion import _C
from refusion.benchmarks.gpu import build_native, ops

ROOT = Path(__file__).parents[3]
SOURCES_NS = 1_700_000_000_000_000_000


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


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Sources of a checkout of their own, all of one time."""
    paths = [tmp_path / name for name in ("CMakeLists.txt", "cmake/cuda.cmake", "csrc/cuda/pre.cu")]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, ns=(SOURCES_NS, SOURCES_NS))
    monkeypatch.setattr(build_native, "ROOT", tmp_path)
    return paths


def test_a_folder_without_a_module_is_built(tmp_path: Path, sources: list[Path]) -> None:
    assert not build_native.is_built(tmp_path)


def test_a_module_without_cuda_or_of_older_sources_is_built_anew(tmp_path: Path, sources: list[Path]) -> None:
    # A module of the name in Python: what is asked of it is whether it has CUDA, and its time.
    module = tmp_path / "_C.py"
    for has_cuda in (False, True):
        module.write_text(f"def build_info(): return {{'cuda': {has_cuda}}}")
        for late_ns, is_newer in ((1, True), (0, True), (-1, False)):
            os.utime(module, ns=(SOURCES_NS + late_ns, SOURCES_NS + late_ns))
            assert build_native.is_built(tmp_path) == (has_cuda and is_newer)
    for path in sources:
        os.utime(module, ns=(SOURCES_NS, SOURCES_NS))
        os.utime(path, ns=(SOURCES_NS, SOURCES_NS + 1))
        assert not build_native.is_built(tmp_path)
        os.utime(path, ns=(SOURCES_NS, SOURCES_NS))
