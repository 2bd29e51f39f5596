"""Folder mapping and the native build; everything static is in pyproject.toml."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent.resolve()

# auto: without a compiler the package still installs, and runs on NumPy and OpenCV; on: a failed build
# is an error; off: no attempt.
NATIVE = os.environ.get("REFUSION_NATIVE", "auto")

# Top-level folders that are packages of refusion; nobody imports the bare names.
MAPPED = {"refusion.export": "export", "refusion.training": "training", "refusion.benchmarks": "benchmarks"}


def subpackages(name: str, folder: str) -> list[str]:
    """Return the package and all packages below its folder."""
    inits = sorted((ROOT / folder).rglob("__init__.py"))
    paths = [init.parent.relative_to(ROOT / folder).parts for init in inits]
    # Folders such as .kit hold packages of others.
    return [".".join((name, *parts)) for parts in paths if all(part.isidentifier() for part in parts)]


class CMakeBuild(build_ext):
    """Builds refusion._C with CMake."""

    def build_extension(self, ext: Extension) -> None:
        try:
            self._run_cmake(Path(self.get_ext_fullpath(ext.name)).parent.resolve())
        except (OSError, subprocess.CalledProcessError) as error:
            if not ext.optional:
                raise
            print(
                f"warning: refusion._C was not built ({error}); pre- and post-processing will run on "
                "NumPy and OpenCV, several times slower. It needs a C++17 compiler and CMake 3.18 or later.",
                file=sys.stderr,
            )

    def _run_cmake(self, output: Path) -> None:
        import pybind11

        build = Path(self.build_temp).resolve()
        build.mkdir(parents=True, exist_ok=True)
        configure = [
            "cmake",
            f"-S{ROOT}",
            f"-B{build}",
            "-DCMAKE_BUILD_TYPE=Release",
            f"-DPython_EXECUTABLE={sys.executable}",
            f"-DREFUSION_PYBIND11_INCLUDE={pybind11.get_include()}",
            f"-DREFUSION_OUTPUT_DIR={output}",
            f"-DREFUSION_CUDA={os.environ.get('REFUSION_CUDA', 'auto')}",
        ]
        subprocess.run(configure, check=True)
        subprocess.run(["cmake", "--build", str(build), "--parallel"], check=True)


packages = ["refusion", *(p for p in subpackages("refusion", "refusion") if p != "refusion")]
for package, directory in MAPPED.items():
    packages += subpackages(package, directory)

setup(
    packages=packages,
    package_dir={"refusion": "refusion", **MAPPED},
    package_data={
        "refusion": ["py.typed", "*.pyi"],
        "refusion.stream.web": ["static/*"],
        "refusion.benchmarks.quality": ["static/*"],
        "refusion.training.configurations": ["*.yaml"],
        "refusion.weights": ["*.safetensors", "*.onnx", "*.json"],
    },
    ext_modules=[] if NATIVE == "off" else [Extension("refusion._C", sources=[], optional=NATIVE == "auto")],
    cmdclass={"build_ext": CMakeBuild},
)
