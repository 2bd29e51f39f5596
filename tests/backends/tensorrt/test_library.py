from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest
from fake_tensorrt import GENERATIONS, fake_tensorrt

from refusion import BackendError, UsageError
from refusion.backends.tensorrt import library as module
from refusion.backends.tensorrt.installation import Machine, tensorrt_advice, tensorrt_rtx_advice
from refusion.backends.tensorrt.library import Flavour, Library, available_flavours, load_library
from refusion.backends.tensorrt.logbook import LogBook


def library_of(generation: str, **options: object) -> Library:
    flavour = Flavour.tensorrt_rtx if generation == "rtx" else Flavour.tensorrt
    return Library.of(flavour, fake_tensorrt(generation, **options))


@pytest.mark.parametrize(
    ("generation", "is_typed", "form"),
    [
        ("8.5", False, "decomposed"),
        ("8.6", False, "decomposed"),
        ("10", True, "layernorm"),
        ("11", True, "layernorm"),
        ("rtx", True, "layernorm"),
    ],
)
def test_what_a_generation_can_do(generation: str, is_typed: bool, form: str) -> None:
    library = library_of(generation)
    assert library.is_strongly_typed is is_typed
    assert library.onnx_form == form
    assert library.version == GENERATIONS[generation]
    expected = ("sm75", "sm80", "sm86", "sm89", "sm120", "sm121") if generation == "rtx" else ()
    assert library.targets == expected


@pytest.mark.parametrize(
    ("version", "numbers"), [("8.5.3.1", (8, 5, 3, 1)), ("10.3.0", (10, 3, 0)), ("11.4.1+cu13", (11, 4, 1))]
)
def test_versions_are_numbers(version: str, numbers: tuple[int, ...]) -> None:
    assert library_of("10", version=version).version_numbers == numbers


@pytest.mark.parametrize("generation", ["8.5", "8.6", "10", "11"])
@pytest.mark.parametrize("kind", ["Builder", "Runtime"])
def test_without_a_gpu_the_reason_is_given(generation: str, kind: str) -> None:
    library = library_of(generation, has_gpu=False)
    match = rf"TensorRT .* could not start its {kind.lower()}: CUDA initialization failure with error: 35"
    with pytest.raises(BackendError, match=match):
        library.create(kind)


def test_the_real_library_says_what_it_is() -> None:
    pytest.importorskip("tensorrt_rtx", reason="tensorrt_rtx is not installed")
    library = load_library(Flavour.tensorrt_rtx)
    assert load_library(Flavour.tensorrt_rtx) is library
    assert library.description.startswith("TensorRT-RTX 1.")
    assert "sm89" in library.targets
    assert Flavour.tensorrt_rtx in available_flavours()


def test_flavours_have_the_names_of_the_command_line() -> None:
    assert Flavour.parse("tensorrt-rtx") is Flavour.parse(Flavour.tensorrt_rtx) is Flavour.tensorrt_rtx
    with pytest.raises(UsageError, match="no TensorRT library 'trt'; expected tensorrt or tensorrt-rtx"):
        Flavour.parse("trt")


@pytest.fixture
def unloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_loaded", {})


@pytest.mark.usefixtures("unloaded")
def test_a_missing_library_comes_with_its_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert available_flavours() == ()
    with pytest.raises(BackendError, match=r"^TensorRT is not installed: .*"):
        load_library(Flavour.tensorrt)


@pytest.mark.usefixtures("unloaded")
@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise ImportError('libnvinfer.so.10: cannot open shared object file')", "libnvinfer.so.10: cannot"),
        ("import ctypes; ctypes.CDLL('libnvinfer.so.none')", "libnvinfer.so.none: cannot open"),
        ("", "has no attribute '__version__'"),
        ("__version__ = '8.4.1'", "TensorRT 8.4.1 is too old: expected 8.5 or later"),
    ],
)
def test_a_library_that_cannot_be_used_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, reason: str
) -> None:
    (tmp_path / "tensorrt.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)
    with pytest.raises(BackendError, match=reason):
        load_library(Flavour.tensorrt)
    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)


@pytest.mark.parametrize(
    ("files", "machine"),
    [
        ({"etc/nv_tegra_release": b"# R36"}, Machine.jetson),
        ({"proc/device-tree/compatible": b"nvidia,p3701\0nvidia,tegra234\0"}, Machine.jetson),
        ({"proc/driver/nvidia/version": b"NVRM"}, Machine.nvidia),
        ({"dev/nvidiactl": b""}, Machine.nvidia),
        ({"proc/version": b"Linux 5.15-Microsoft-standard-WSL2"}, Machine.wsl_without_gpu),
        (
            {"proc/version": b"Linux 5.15-microsoft", "usr/lib/wsl/lib/libcuda.so.1": b""},
            Machine.nvidia,
        ),
        ({"proc/version": b"Linux 6.1"}, Machine.without_gpu),
    ],
)
def test_machines_are_told_apart(tmp_path: Path, files: dict[str, bytes], machine: Machine) -> None:
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    assert Machine.find(tmp_path) is machine


@pytest.mark.parametrize(
    ("machine", "architecture", "says"),
    [
        (Machine.jetson, "aarch64", "sudo apt install python3-libnvinfer.*--system-site-packages"),
        (Machine.nvidia, "x86_64", r"pip install 'refusion\[tensorrt\]'.*libraries from NVIDIA"),
        (Machine.nvidia, "aarch64", r"pip install 'refusion\[tensorrt\]'"),
        (Machine.wsl_without_gpu, "x86_64", "NVIDIA's driver on Windows .not inside WSL."),
        (Machine.without_gpu, "x86_64", "--format tensorrt-rtx --target sm89.*`refusion fuse` runs here"),
        (Machine.without_gpu, "aarch64", "no NVIDIA driver was found on this machine .aarch64."),
    ],
)
def test_the_advice_is_for_the_machine(machine: Machine, architecture: str, says: str) -> None:
    import re

    assert re.search(says, tensorrt_advice(machine, architecture=architecture))


def test_tensorrt_rtx_is_installed_anywhere_but_on_jetson() -> None:
    assert "refusion[tensorrt-rtx]" in tensorrt_rtx_advice(Machine.without_gpu, architecture="x86_64")
    jetson = tensorrt_rtx_advice(Machine.jetson, architecture="aarch64")
    assert jetson.startswith("TensorRT-RTX does not run on Jetson; on Jetson TensorRT comes with JetPack")


def test_lines_are_kept_while_they_are_recorded_only() -> None:
    book = LogBook()
    book.add("ERROR", "before")
    with book.recording() as outer:
        book.add("VERBOSE", "a detail")
        with book.recording() as inner:
            book.add("ERROR", "the cause\n of it")
        book.add("WARNING", "beside")
        book.add("ERROR", "the cause of it")
        book.add("INTERNAL_ERROR", "what follows")
    book.add("ERROR", "after")
    assert [line.text for line in inner.lines] == ["the cause\n of it"]
    assert outer.reason() == "the cause of it; what follows"
    assert "VERBOSE: a detail\n" in outer.text()
    assert len(outer.lines) == 5


def test_without_errors_the_last_warnings_are_the_reason() -> None:
    book = LogBook()
    with book.recording() as lines:
        assert lines.reason() == "it logged no reason"
        for text in "abcd":
            book.add("WARNING", text)
    assert lines.reason() == "b; c; d"


def test_a_logger_is_of_the_librarys_class() -> None:
    fake = types.SimpleNamespace(ILogger=type("ILogger", (), {}), __version__="10.0")
    library = Library.of(Flavour.tensorrt, fake)
    assert isinstance(library.logger, fake.ILogger)
