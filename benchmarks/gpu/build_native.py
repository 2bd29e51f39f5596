"""Builds refusion._C in a bare checkout, for the Python that runs this, with what the machine has.

    python3 benchmarks/gpu/build_native.py [--force] [--output FOLDER] [--architectures 90-real;...]

Needs nvcc, a C++ compiler, CMake and the headers of Python; those of pybind11 come from the package, from
PyTorch, or from a wheel in benchmarks/gpu/.kit or .whl. It compiles for the GPUs of this machine alone,
unless told otherwise, and keeps the build folder, so that a second build is quick. Only the standard
library is imported.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WHEEL_FOLDERS = (ROOT / "benchmarks" / "gpu" / ".kit", ROOT / ".whl")


def is_built(output: Path) -> bool:
    """Tell whether this Python loads a module with CUDA from the folder that is newer than all sources."""
    check = "import _C; print(_C.__file__ if _C.build_info()['cuda'] else '')"
    environment = os.environ | {"PYTHONPATH": str(output)}
    done = subprocess.run([sys.executable, "-c", check], env=environment, capture_output=True, text=True)
    module = Path(done.stdout.strip())
    if done.returncode or not module.is_file():
        return False
    sources = [ROOT / "CMakeLists.txt", *(ROOT / "cmake").iterdir(), *(ROOT / "csrc").rglob("*.*")]
    return all(path.stat().st_mtime_ns <= module.stat().st_mtime_ns for path in sources)


def pybind11_headers(scratch: Path) -> Path:
    """Return a folder with pybind11/pybind11.h.

    Raises:
        SystemExit: There is none.
    """
    for package in ("pybind11", "torch"):
        found = importlib.util.find_spec(package)
        for location in (found.submodule_search_locations or ()) if found else ():
            if (Path(location) / "include" / "pybind11" / "pybind11.h").is_file():
                return Path(location) / "include"
    for wheel in (path for folder in WHEEL_FOLDERS for path in sorted(folder.rglob("pybind11-*.whl"))):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(scratch)
        return scratch / "pybind11" / "include"
    folders = " or ".join(str(folder) for folder in WHEEL_FOLDERS)
    raise SystemExit(
        f"no pybind11 for {sys.executable}: install it, or torch, or put its wheel into {folders}"
    )


def gpu_architectures() -> str:
    """Return the architectures of this machine's GPUs as CMake names them, empty where they are not known."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    query = [program, "--query-gpu=compute_cap", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True)
    found = (
        {line.strip().replace(".", "") for line in done.stdout.splitlines()} if not done.returncode else set()
    )
    return ";".join(f"{architecture}-real" for architecture in sorted(found) if architecture.isdigit())


def _programs() -> Iterator[str]:
    """Yield the directories to look for programs in: that of this Python first, for CMake from a package."""
    yield str(Path(sys.executable).parent)
    yield os.environ.get("PATH", "")
    yield "/usr/local/cuda/bin"


def build(output: Path, architectures: str) -> None:
    """Build the module into a folder.

    Raises:
        SystemExit: A tool is missing, or the build failed.
    """
    environment = os.environ | {"PATH": os.pathsep.join(_programs())}
    missing = [name for name in ("cmake", "c++", "nvcc") if not shutil.which(name, path=environment["PATH"])]
    if missing:
        raise SystemExit(f"refusion._C cannot be built here: there is no {', no '.join(missing)} on PATH")
    folder = ROOT / "build" / f"native-{sys.implementation.cache_tag}"
    folder.mkdir(parents=True, exist_ok=True)
    configure = [
        *("cmake", f"-S{ROOT}", f"-B{folder}", "-DCMAKE_BUILD_TYPE=Release", "-DREFUSION_CUDA=on"),
        f"-DPython_EXECUTABLE={sys.executable}",
        f"-DREFUSION_PYBIND11_INCLUDE={pybind11_headers(folder / 'pybind11')}",
        f"-DREFUSION_OUTPUT_DIR={output}",
    ]
    if architectures:
        configure.append(f"-DCMAKE_CUDA_ARCHITECTURES={architectures}")
    for command in (configure, ["cmake", "--build", str(folder), "--parallel"]):
        done = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        if done.returncode:
            raise SystemExit(
                f"{done.stdout}\nrefusion._C was not built: {' '.join(command)} failed, see above"
            )


def main(arguments: Sequence[str] | None = None) -> None:
    """Build the module unless it is there."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--force", action="store_true", help="build also where a module is there")
    parser.add_argument("--output", type=Path, default=ROOT / "refusion", help="folder for the module")
    parser.add_argument(
        "--architectures", help="as CMAKE_CUDA_ARCHITECTURES (default: those of this machine)"
    )
    options = parser.parse_args(arguments)
    output = options.output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    if options.force or not is_built(output):
        print(f"building refusion._C for Python {sys.version.split()[0]}", flush=True)
        architectures = gpu_architectures() if options.architectures is None else options.architectures
        build(output, architectures)


if __name__ == "__main__":
    main()
