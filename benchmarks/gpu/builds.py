"""Compiled modules for another Python and a GPU that is not here: pycuda, and refusion._C with CUDA."""

from __future__ import annotations

import os
import re
import subprocess
import tarfile
import zipfile
from pathlib import Path

from refusion.errors import BackendError

ROOT = Path(__file__).resolve().parents[2]
HOPPER = "90"
"""Compute capability that modules are compiled for; newer GPUs take the intermediate code."""

PYCUDA = "pycuda==2026.1"
PYCUDA_NEEDS = ("pytools", "siphash24", "platformdirs", "typing-extensions", "mako", "markupsafe")
RUNTIME_NEEDS = ("safetensors",)
"""Of what refusion itself needs, the packages that neither PyTorch nor ONNX Runtime brings."""

BUILD_NEEDS = ("setuptools", "wheel", "numpy", "pybind11", "cmake")

PYCUDA_SETTINGS = """\
CUDA_ROOT = {root!r}
CUDADRV_LIB_DIR = [{stubs!r}]
# The stub has none of the functions: linked only as needed it would be left out, and with it the driver.
LDFLAGS = ["-Wl,--no-as-needed", "-L" + {stubs!r}, "-lcuda"]
# Random numbers on the GPU: not used here, and their headers are not in every toolkit.
CUDA_ENABLE_CURAND = False
"""
DRIVER = "libcuda.so.1"


def run(*command: str | Path, **environment: str) -> None:
    """Run a command; BackendError with its last lines if it fails."""
    words, variables = [str(word) for word in command], os.environ | environment
    done = subprocess.run(words, capture_output=True, text=True, env=variables, check=False)
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise BackendError(f"{' '.join(map(str, command))} failed:\n{tail}")


def tag(python: Path) -> str:
    """Return the tag of a Python as wheels have it, for instance "cp312"."""
    code = "import sys; print('cp%d%d' % sys.version_info[:2])"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def install(python: Path, *needs: str | Path, target: Path | None = None) -> None:
    """Install packages into a Python or, without what they need, into a folder."""
    where: list[str | Path] = []
    if target is not None:
        where = ["--no-deps", "--no-compile", "--target", target]
    run(python, "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt", *where, *needs)


class BuildEnvironment:
    """A virtual environment of one Python with the tools to build for it."""

    def __init__(self, python: Path, folder: Path) -> None:
        self._folder = folder
        run(python, "-m", "venv", folder / "venv")
        self.python = folder / "venv" / "bin" / "python"
        install(self.python, *BUILD_NEEDS)

    def pycuda(self) -> Path:
        """Return a wheel of pycuda. It wants nvcc and CUDA's headers, but no driver."""
        cuda = cuda_root()
        source, stubs = self._folder / "pycuda", self._folder / "stubs"
        pip = (self.python, "-m", "pip")
        as_source = ("--no-deps", "--no-binary=:all:", "--no-build-isolation")
        run(*pip, "download", "-q", *as_source, "-d", source, PYCUDA)
        (packed,) = source.glob("*.tar.gz")
        with tarfile.open(packed) as archive:
            archive.extractall(source, filter="data")
        (unpacked,) = (path for path in source.iterdir() if path.is_dir())
        stubs.mkdir()
        shared_library(stubs / "libcuda.so", DRIVER)
        (unpacked / "siteconf.py").write_text(PYCUDA_SETTINGS.format(root=str(cuda), stubs=str(stubs)))
        run(*pip, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", self._folder, unpacked)
        (wheel,) = self._folder.glob("pycuda*.whl")
        check_links_driver(wheel)
        return wheel

    def native(self, target: Path) -> Path:
        """Compile refusion._C with CUDA into a folder, and return the module."""
        script = ROOT / "benchmarks" / "gpu" / "build_native.py"
        run(self.python, script, "--force", "--output", target, "--architectures", HOPPER)
        (module,) = target.glob(f"_C.*{tag(self.python).removeprefix('cp')}*.so")
        return module


def check_links_driver(wheel: Path) -> None:
    """Raise BackendError if no module of a wheel links to the driver: that shows only where there is one."""
    with zipfile.ZipFile(wheel) as archive:
        modules = [archive.read(name) for name in archive.namelist() if name.endswith(".so")]
    if not any(DRIVER.encode() in module for module in modules):
        raise BackendError(f"{wheel.name} was built without a link to {DRIVER}: it would not find the driver")


def cuda_root() -> Path:
    """Return the CUDA toolkit's folder, as its compiler states it: `nvcc` on PATH may be a wrapper elsewhere.

    Raises:
        BackendError: There is no nvcc.
    """
    command = ["nvcc", "--dryrun", "-x", "cu", "-c", os.devnull]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise BackendError("there is no nvcc on PATH: CUDA's toolkit is needed") from None
    match = re.search(r"^#\$ TOP=(.+)$", done.stderr, re.MULTILINE)
    if match is None:
        raise BackendError(f"nvcc does not say where it is: {done.stderr.strip()[:200]}")
    return Path(match[1]).resolve()


def shared_library(path: Path, soname: str, code: str = "") -> None:
    """Build a shared library of some C code, or of none, under the name that others link it by."""
    command = ["gcc", "-shared", "-fPIC", "-x", "c", "-", f"-Wl,-soname,{soname}", "-o", str(path)]
    done = subprocess.run(command, input=code, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BackendError(f"{path.name} cannot be built: {done.stderr.strip()}")


def strip(folder: Path) -> None:
    """Take what only debuggers read out of the modules that were built here."""
    for module in folder.rglob("*.so"):
        run("strip", "--strip-unneeded", module)
