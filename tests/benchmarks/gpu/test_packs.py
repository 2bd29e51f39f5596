from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from refusion import BackendError, InputError
from refusion.benchmarks.gpu import packs
from refusion.benchmarks.gpu.builds import check_links_driver, cuda_root, run, shared_library, tag

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="packs are made on Linux")
needs_compiler = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")


@pytest.mark.parametrize("name", ["test", "_tkinter.cpython-310-x86_64-linux-gnu.so", "config-3.10-x86_64"])
def test_what_only_a_desktop_or_a_build_needs_stays_here(name: str) -> None:
    assert packs._left_out("lib", [name, "os.py", "ctypes", "unittest", "_ctypes.cpython-310.so"]) == [name]


def test_libraries_of_every_system_stay_here() -> None:
    found = {path.name for path in packs._libraries(Path(shutil.which("ls") or "/bin/ls"))}
    assert not any(name.startswith(("libc.", "ld-linux")) for name in found)
    assert packs.SYSTEM_LIBRARIES.match("libstdc++.so.6")
    assert not packs.SYSTEM_LIBRARIES.match("libcrypto.so.3")


@needs_compiler
def test_the_stub_of_the_plugins_loads_and_succeeds(tmp_path: Path) -> None:
    path = tmp_path / "libnvinfer_plugin.so.8"
    shared_library(path, path.name, packs.PLUGIN_STUB)
    assert ctypes.CDLL(str(path)).initLibNvInferPlugins(None, b"") == 1
    with pytest.raises(BackendError, match=r"libnvinfer_plugin.so.8 cannot be built: .*error"):
        shared_library(path, path.name, "int broken(")


@needs_compiler
def test_tensorrt_travels_without_its_plugins(tmp_path: Path) -> None:
    wheel = tmp_path / "tensorrt.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in ("__init__.py", "libnvinfer.so.8", "libnvinfer_plugin.so.8"):
            archive.writestr(f"tensorrt/{name}", name * 1000)
        archive.writestr("tensorrt-8.dist-info/LICENSE.txt", "licence")
    packs.gather_tensorrt(wheel, tmp_path / "root")
    site = tmp_path / "root" / "site-cp310"
    assert (site / "tensorrt" / "libnvinfer.so.8").read_text() == "libnvinfer.so.8" * 1000
    assert (site / "tensorrt" / "libnvinfer_plugin.so.8").read_bytes().startswith(b"\x7fELF")
    assert (site / "tensorrt-8.dist-info" / "LICENSE.txt").is_file()


def test_tensorrt_rtx_is_imported_by_its_usual_name(tmp_path: Path) -> None:
    wheel, engines = tmp_path / "bindings.whl", tmp_path / "engines"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tensorrt_rtx_bindings/__init__.py", "__version__ = '1.7'\nclass Builder: pass\n")
    engines.mkdir()
    (engines / "a.plan").write_bytes(b"plan")
    packs.gather_rtx([wheel], engines, tmp_path / "root")
    assert (tmp_path / "root" / "rtx-engines" / "a.plan").read_bytes() == b"plan"
    code = "import tensorrt_rtx as t; print(t.__version__, t.Builder.__name__)"
    environment = {"PYTHONPATH": str(tmp_path / "root" / "site-cp312")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "1.7 Builder\n"


def test_the_launcher_starts_the_python_beside_it_from_anywhere(tmp_path: Path) -> None:
    moved = tmp_path / "a folder"
    (moved / "bin").mkdir(parents=True)
    (moved / "python").write_text(packs.LAUNCHER)
    (moved / "python").chmod(0o755)
    binary = moved / "bin" / "python3.10"
    binary.write_text('#!/bin/sh\necho "$LD_LIBRARY_PATH" "$@"\n')
    binary.chmod(0o755)
    done = subprocess.run(
        ["a folder/python", "-m", "x y"], cwd=tmp_path, env={}, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{moved}/lib -m x y\n"


def test_a_pack_is_made_by_the_python_that_it_is_for() -> None:
    wrong = "rtx" if tag(Path(sys.executable)) == "cp310" else "python"
    with pytest.raises(InputError, match=rf"is cp3\d+, the pack '{wrong}' is for cp3"):
        packs.main([wrong, "--python", sys.executable])


def test_a_command_that_fails_says_how() -> None:
    with pytest.raises(BackendError, match="(?s)failed:.*cannot be done"):
        run(sys.executable, "-c", "raise SystemExit('cannot be done')")
    run(sys.executable, "-c", "import os; assert os.environ['KEY'] == 'value'", KEY="value")
    assert "KEY" not in os.environ


def test_a_pycuda_that_would_not_find_the_driver_is_refused(tmp_path: Path) -> None:
    wheel = tmp_path / "pycuda.whl"
    for content, linked in ((b"\x7fELF libc.so.6", False), (b"\x7fELF libcuda.so.1", True)):
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("pycuda/_driver.so", content)
            archive.writestr("pycuda/driver.py", "libcuda.so.1")
        if linked:
            check_links_driver(wheel)
        else:
            with pytest.raises(BackendError, match="was built without a link to libcuda.so.1"):
                check_links_driver(wheel)


def test_the_toolkit_is_where_its_compiler_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = tmp_path / "nvcc"
    compiler.write_text(f"#!/bin/sh\necho '#$ _HERE_=x' >&2\necho '#$ TOP={tmp_path}/cuda/bin/..' >&2\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cuda_root() == tmp_path / "cuda"
    compiler.write_text("#!/bin/sh\necho 'no such option' >&2\n")
    with pytest.raises(BackendError, match="nvcc does not say where it is: no such option"):
        cuda_root()
    compiler.unlink()
    with pytest.raises(BackendError, match="there is no nvcc on PATH"):
        cuda_root()
