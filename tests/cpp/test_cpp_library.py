"""C++ users: the library installs, find_package finds it, and the examples compile and run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from refusion import ops
from refusion.tasks import Chroma

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "cpp"


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    beside = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    texts = [str(part) for part in command]
    environment = os.environ | {"PATH": beside}
    return subprocess.run(texts, env=environment, capture_output=True, text=True, timeout=600)


def succeed(*command: str | Path) -> str:
    done = run(*command)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning:" not in done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def compiler() -> str:
    found = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if found is None:
        pytest.skip("no C++ compiler")
    return found


@pytest.fixture(scope="module")
def installed(compiler: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the library is installed in, without CUDA."""
    if shutil.which("cmake", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}") is None:
        pytest.skip("no cmake")
    prefix, build = tmp_path_factory.mktemp("prefix"), tmp_path_factory.mktemp("library")
    options = ["-DREFUSION_PYTHON=OFF", "-DREFUSION_LIBRARY=ON", "-DREFUSION_CUDA=off"]
    succeed("cmake", f"-S{ROOT}", f"-B{build}", f"-DCMAKE_INSTALL_PREFIX={prefix}", *options)
    succeed("cmake", "--build", build, "--parallel")
    succeed("cmake", "--install", build)
    return prefix


@pytest.fixture(scope="module")
def examples(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The examples, built against the installed library."""
    build = tmp_path_factory.mktemp("examples")
    succeed("cmake", f"-S{EXAMPLES}", f"-B{build}", f"-DCMAKE_PREFIX_PATH={installed}")
    cache = (build / "CMakeCache.txt").read_text()
    assert f"refusion_DIR:PATH={installed}" in cache
    succeed("cmake", "--build", build, "--parallel")
    return build


@pytest.mark.parametrize(
    ("names", "chroma"),
    [("a.pgm b.ppm", Chroma.B), ("a.ppm b.ppm", Chroma.BOTH), ("a.pgm b.pgm", Chroma.NONE)],
)
def test_the_cpu_example_does_what_python_does(
    examples: Path, tmp_path: Path, names: str, chroma: Chroma
) -> None:
    random = np.random.default_rng(0)
    frames, paths = [], [tmp_path / name for name in names.split()]
    for path in paths:
        shape = (31, 47) if path.suffix == ".pgm" else (31, 47, 3)
        frames.append(random.integers(0, 256, shape, np.uint8))
        assert cv2.imwrite(str(path), frames[-1])
    out = tmp_path / "out.ppm"
    succeed(examples / "blend_on_cpu", *paths, out)
    sources = ops.preprocess(*frames)
    fused = np.float32(0.5) * (sources[0] + sources[1])
    expected = ops.postprocess(fused, *frames, chroma=chroma, value_range=ops.value_range(fused))
    found = cv2.imread(str(out), cv2.IMREAD_UNCHANGED)
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x89PNG", "is no binary Netpbm file"),
        (b"P5\n47 -3\n255\n", "has no size and depth as Netpbm files have"),
        (b"P5\n# by hand\n4 3\n255\n1234", "ends too early"),
        (b"P6 4 3 65535\n", "does not have 8 bits a channel"),
        (b"P5 1 1 255\n\x07", "b must be of the size of a, 1x1, not 2x1"),
    ],
)
def test_the_cpu_example_says_what_is_wrong(
    examples: Path, tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "a.pgm").write_bytes(content)
    (tmp_path / "b.pgm").write_bytes(b"P5 2 1 255\n\x07\x08")
    done = run(examples / "blend_on_cpu", tmp_path / "a.pgm", tmp_path / "b.pgm", tmp_path / "out.pgm")
    assert done.returncode == 1
    assert message in done.stderr


@pytest.mark.parametrize("generation", ["8.5", "10"])
def test_the_tensorrt_example_compiles(compiler: str, tmp_path: Path, generation: str) -> None:
    shutil.copy(Path(__file__).parent / "fake_tensorrt.hpp", tmp_path / "NvInferRuntime.h")
    flags = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", f"-I{ROOT / 'csrc' / 'include'}"]
    flags += ["-DFAKE_TENSORRT_10"] if generation == "10" else []
    succeed(compiler, *flags, f"-I{tmp_path}", EXAMPLES / "fuse_with_tensorrt.cpp")
