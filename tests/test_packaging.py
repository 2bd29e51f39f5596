"""The wheel: built from a copy of the source, installed apart, and complete."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAPPED = {"refusion": "refusion", "export": "refusion/export", "training": "refusion/training"}
MAPPED["benchmarks"] = "refusion/benchmarks"
NOT_SOURCE = (".*", "build", "dist", "out", "runs", "engines", "__pycache__", "*.egg-info", "*.so")
OPTIONAL = {"torch", "onnx", "onnxsim", "tensorrt", "tensorrt_rtx", "pycuda", "yaml", "tensorboard"}
OPTIONAL |= {"aiohttp", "aiortc", "networkx"}


def run(*command: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "REFUSION"))
    }
    # CMake may be installed beside this interpreter alone.
    variables["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), variables.get("PATH", "")))
    return subprocess.run(
        [*map(str, command)],
        cwd=cwd,
        env=variables | environment,
        capture_output=True,
        text=True,
        timeout=900,
    )


def pip(*arguments: str | Path, cwd: Path) -> None:
    options = {"PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "REFUSION_NATIVE": "on"}
    done = run(sys.executable, "-m", "pip", *arguments, cwd=cwd, **options)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, without anything built."""
    copy = tmp_path_factory.mktemp("packaging") / "checkout"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*NOT_SOURCE))
    return copy


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel built from the copy."""
    for package in ("pip", "setuptools", "pybind11"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"building a wheel needs {package}")
    beside = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    for program in ("cmake", "c++"):
        if shutil.which(program, path=beside) is None:
            pytest.skip(f"building a wheel needs {program}")
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", source, "--no-deps", "--no-build-isolation", "-w", folder, cwd=folder)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the wheel is installed in."""
    folder = tmp_path_factory.mktemp("site")
    pip("install", wheel, "--no-deps", "--target", folder, cwd=folder)
    return folder


def contents(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if not name.endswith("/")}


def test_wheel_is_of_this_python_and_platform(wheel: Path) -> None:
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    assert wheel.stem.split("-")[2:] == [python, python, platform]


def test_wheel_holds_every_module_and_no_other(wheel: Path, source: Path) -> None:
    expected = {
        f"{package}/{path.relative_to(source / folder).as_posix()}"
        for folder, package in MAPPED.items()
        for path in (source / folder).rglob("*.py")
    }
    assert {name for name in contents(wheel) if name.endswith(".py")} == expected


def test_wheel_holds_native_module_types_weights_and_licence(wheel: Path, source: Path) -> None:
    names = contents(wheel)
    assert f"refusion/_C{sysconfig.get_config_var('EXT_SUFFIX')}" in names
    assert {"refusion/py.typed", "refusion/_C.pyi"} <= names
    weights = {
        path.relative_to(source).as_posix()
        for path in (source / "refusion" / "weights").iterdir()
        if path.suffix in (".onnx", ".safetensors", ".json")
    }
    assert {name for name in names if name.startswith("refusion/weights/")} == {
        *weights,
        "refusion/weights/__init__.py",
    }
    pages = source / "refusion" / "stream" / "web" / "static"
    static = {path.relative_to(source).as_posix() for path in pages.iterdir()}
    assert "refusion/stream/web/static/index.html" in static
    assert static <= names
    report = {f"refusion/benchmarks/quality/static/report.{suffix}" for suffix in ("html", "css", "js")}
    assert report <= names
    schedules = {name for name in names if name.endswith(".yaml")}
    assert schedules == {
        f"refusion/training/configurations/{task}.yaml"
        for task in ("ivif", "lite", "meif", "mfif", "mif", "paper")
    }
    assert [name for name in names if name.endswith("/LICENSE")]
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"refusion"}


IMPORT_ALL = f"""
import importlib, pkgutil, sys
import refusion
left = set()
for module in pkgutil.walk_packages(refusion.__path__, "refusion.", onerror=lambda name: None):
    if module.name.endswith("__main__"):
        continue
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        if error.name.partition(".")[0] not in {OPTIONAL!r}:
            raise
        left.add(error.name)
for name, module in sorted(sys.modules.items()):
    if name.partition(".")[0] == "refusion":
        print(name, module.__file__)
print("without", *left, file=sys.stderr)
"""


def test_everything_imports_from_the_installed_wheel(site: Path, source: Path, tmp_path: Path) -> None:
    done = run(sys.executable, "-c", IMPORT_ALL, cwd=tmp_path, PYTHONPATH=str(site))
    assert done.returncode == 0, done.stderr
    files = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    outside = {name: file for name, file in files.items() if not Path(file).is_relative_to(site)}
    assert outside == {}
    assert {
        "refusion._C",
        "refusion.cli.app",
        "refusion.stream.synthetic",
        "refusion.weights",
    } <= files.keys()
    if importlib.util.find_spec("torch") is not None:
        assert {"refusion.export", "refusion.training.run", "refusion.benchmarks"} <= files.keys()


def test_installed_wheel_fuses_with_its_weights_and_native_code(site: Path, tmp_path: Path) -> None:
    code = (
        "import numpy as np, refusion\n"
        "fuser = refusion.Fuser('ivif')\n"
        "fused = fuser(np.zeros((8, 9), np.uint8), np.full((8, 9, 3), 90, np.uint8))\n"
        "print(fused.shape, fuser.weights.parent, fuser.description)"
    )
    done = run(sys.executable, "-c", code, cwd=tmp_path, PYTHONPATH=str(site), REFUSION_OPS="native")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"(8, 9) {site / 'refusion' / 'weights'} native C++")


@pytest.mark.parametrize("is_installed_elsewhere", [False, True])
def test_a_checkout_that_is_not_installed_says_so(
    source: Path, request: pytest.FixtureRequest, is_installed_elsewhere: bool
) -> None:
    # -S leaves out site-packages, and with it the editable install that tests usually run from.
    variables = {"PYTHONPATH": str(request.getfixturevalue("site"))} if is_installed_elsewhere else {}
    done = run(sys.executable, "-S", "-c", "import refusion", cwd=source, **variables)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"ImportError: refusion was imported from the source checkout {source}, ")
    assert "install it with `pip install -e .`, or run from another folder" in last
