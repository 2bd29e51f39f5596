"""Packs what is too large for one call into parts: a Python 3.10, TensorRT 8.5, TensorRT-RTX.

    python -m refusion.benchmarks.gpu.packs python --python PYTHON3.10
    python -m refusion.benchmarks.gpu.packs tensorrt --python PYTHON3.10 [--wheel FILE]
    python -m refusion.benchmarks.gpu.packs rtx --python PYTHON3.12 [--engines DIR]

Each becomes folders benchmarks/gpu/.parts/NAME-1, NAME-2... (git-ignored), one a call. There,
`run.sh receive` joins them below /tmp/refusion-gpu. NVIDIA's libraries travel as they are, with their
licence.

TensorRT 8.5.3 is the newest complete TensorRT whose libraries come in its wheel and fit: 236 MB compressed,
where 8.6.0 takes 500. Its bindings want Python 3.10.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from refusion.benchmarks.gpu.builds import install, run, shared_library, tag
from refusion.benchmarks.gpu.folders import PARTS, start
from refusion.benchmarks.gpu.parts import compress, split
from refusion.errors import InputError

TENSORRT = "tensorrt==8.5.3.1"
RTX = ("tensorrt-rtx-cu13-bindings==1.7.1.116", "tensorrt-rtx-cu13-libs==1.7.1.116")

RTX_IMPORT = "from tensorrt_rtx_bindings import *\nfrom tensorrt_rtx_bindings import __version__\n"
"""The module `tensorrt_rtx`, whose package is a source distribution that installs those wheels."""

# For refusion itself and its tests; pycuda travels in .kit, being small.
PYTHON_PACKAGES = (
    "numpy",
    "opencv-python-headless",
    "onnxruntime",
    *("pytest", "pluggy", "iniconfig", "packaging", "exceptiongroup", "tomli", "pygments"),
    *("hypothesis", "sortedcontainers", "attrs", "typing-extensions"),
)

LEFT_OUT = re.compile(
    r"site-packages|__pycache__|test|tests|idlelib|tkinter|turtledemo|lib2to3|ensurepip|config-.*|pydoc_data"
    r"|_tkinter\..*|nis\..*|_curses.*|_sqlite3\..*|readline\..*|_test.*|_ctypes_test\..*|.*\.a"
)
"""Of a Python's library: tests, documents, build files, and modules that want libraries of a desktop."""

SYSTEM_LIBRARIES = re.compile(r"(ld-linux|libc|libm|libdl|librt|libpthread|libutil|libstdc\+\+|libgcc_s)[.-]")
"""What every Linux has and what must not be mixed with another's."""

LAUNCHER = """\
#!/bin/sh
# Starts this Python from whatever folder it is in, with the libraries beside it.
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
LD_LIBRARY_PATH="$here/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" exec "$here/bin/python3.10" "$@"
"""

PLUGIN_STUB = "int initLibNvInferPlugins(void* logger, const char* name_space) { return 1; }"
"""The real one is 50 MB and wants cuDNN 8 and cuBLAS 11, for plugins that no model here has."""


def gather_python(python: Path, root: Path) -> None:
    """Copy a Python 3.10 that starts anywhere, with the packages that the jobs need."""
    code = "import sys; print(sys.base_prefix)"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    prefix, target = Path(done.stdout.strip()), root / "python"
    shutil.copytree(prefix / "lib" / "python3.10", target / "lib" / "python3.10", ignore=_left_out)
    (target / "bin").mkdir()
    shutil.copy(prefix / "bin" / "python3.10", target / "bin")
    binaries = [target / "bin" / "python3.10", *target.rglob("*.so")]
    for library in sorted({found for binary in binaries for found in _libraries(binary)}):
        shutil.copy(library, target / "lib" / library.name)
    (target / "python").write_text(LAUNCHER)
    (target / "python").chmod(0o755)
    install(python, *PYTHON_PACKAGES, target=root / "site-cp310")


def _left_out(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if LEFT_OUT.fullmatch(name)]


def _libraries(binary: Path) -> Iterator[Path]:
    """Yield the shared libraries that a binary needs, but for those of every system."""
    listed = subprocess.run(["ldd", binary], capture_output=True, text=True, check=True).stdout
    if "not found" in listed:
        raise InputError(f"{binary} lacks a library here:\n{listed}")
    for name, path in re.findall(r"(\S+) => (/\S+)", listed):
        if not SYSTEM_LIBRARIES.match(name):
            yield Path(path).parent / name


def gather_tensorrt(wheel: Path, root: Path) -> None:
    """Unpack TensorRT's wheel, with a stub in place of its plugins."""
    site = root / "site-cp310"
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if "libnvinfer_plugin" not in name]
        archive.extractall(site, names)
    shared_library(site / "tensorrt" / "libnvinfer_plugin.so.8", "libnvinfer_plugin.so.8", PLUGIN_STUB)


def gather_rtx(wheels: Sequence[Path], engines: Path | None, root: Path) -> None:
    """Unpack TensorRT-RTX's wheels beside the metapackage's import, and engines built for other GPUs."""
    site = root / "site-cp312"
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
    (site / "tensorrt_rtx").mkdir()
    (site / "tensorrt_rtx" / "__init__.py").write_text(RTX_IMPORT)
    if engines is not None:
        shutil.copytree(engines, root / "rtx-engines")


def main(arguments: Sequence[str] | None = None) -> None:
    """Gather, compress and split one pack."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pack", choices=("python", "tensorrt", "rtx"))
    parser.add_argument("--python", type=Path, required=True, help="that it is for; its pip downloads")
    parser.add_argument("--wheel", type=Path, help="of TensorRT; downloaded if not given")
    parser.add_argument("--engines", type=Path, metavar="DIR", help="engines of TensorRT-RTX to take along")
    options = parser.parse_args(arguments)
    wanted = "cp312" if options.pack == "rtx" else "cp310"
    if tag(options.python) != wanted:
        found = tag(options.python)
        raise InputError(f"{options.python} is {found}, the pack '{options.pack}' is for {wanted}")
    with tempfile.TemporaryDirectory(prefix="packs-") as name:
        scratch, root = Path(name), Path(name) / "root"
        root.mkdir()
        if options.pack == "python":
            gather_python(options.python, root)
        elif options.pack == "tensorrt":
            gather_tensorrt(options.wheel or _downloaded(options.python, scratch, TENSORRT)[0], root)
        else:
            gather_rtx(_downloaded(options.python, scratch, *RTX), options.engines, root)
        archive = scratch / "archive.xz"
        compress(root, archive)
        manifest = split(archive, options.pack, PARTS)
        size_mb = archive.stat().st_size / 1e6
    numbers = range(1, len(manifest.sha256s) + 1)
    print(f"{options.pack}: {size_mb:.0f} MB; carry, one a call:")
    for number in numbers:
        print(f"  {os.path.relpath(manifest.folder(PARTS.resolve(), number))}")


def _downloaded(python: Path, scratch: Path, *packages: str) -> list[Path]:
    folder = scratch / "wheels"
    run(python, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "-d", folder, *packages)
    return sorted(folder.glob("*.whl"))


if __name__ == "__main__":
    start(main)
