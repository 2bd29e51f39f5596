"""Engines of the real TensorRT-RTX, which builds without a GPU."""

from __future__ import annotations

import dataclasses
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from engine_builds import Lines
from fake_tensorrt import fake_tensorrt
from tiny_onnx import write_tiny_onnx

from refusion import BackendError
from refusion.backends.tensorrt.identity import ShapeProfile
from refusion.backends.tensorrt.library import Flavour, Library, load_library
from refusion.backends.tensorrt.loading import load_engine
from refusion.backends.tensorrt.sidecar import log_of, sidecar_of
from refusion.export.engine import BuiltEngine, EngineRequest, build_engine
from refusion.gpus import Gpu
from refusion.tasks import Task
from refusion.weights import shipped_weights

pytest.importorskip("onnx", reason="onnx is not installed")


@pytest.fixture(scope="module")
def real_library() -> Library:
    pytest.importorskip("tensorrt_rtx", reason="tensorrt_rtx is not installed")
    return load_library(Flavour.tensorrt_rtx)


@pytest.fixture(scope="module")
def request_sm89(real_library: Library, tmp_path_factory: pytest.TempPathFactory) -> EngineRequest:
    """The shipped network, for another machine's GPU."""
    import onnx

    folder = tmp_path_factory.mktemp("rtx")
    model = onnx.load(shipped_weights(Task.ivif).onnx)
    known = {entry.key for entry in model.metadata_props}
    facts = {"model": "full", "checkpoint_sha256": "c" * 64, "form": "layernorm"}
    for name, value in facts.items():
        if f"refusion.{name}" not in known:
            entry = model.metadata_props.add()
            entry.key, entry.value = f"refusion.{name}", value
    onnx.save(model, folder / "ivif.onnx")
    return EngineRequest(
        onnx=folder / "ivif.onnx",
        folder=folder,
        flavour=Flavour.tensorrt_rtx,
        profile=ShapeProfile.parse(minimum="64x64", optimum="480x640", maximum="720x1280"),
        target="sm89",
        optimization_level=2,
    )


@pytest.fixture(scope="module")
def real(request_sm89: EngineRequest) -> tuple[BuiltEngine, Lines]:
    """The engine, and what was told while it was built."""
    lines = Lines()
    built = build_engine(
        request_sm89, report=lines, progress=lambda fraction, phase: lines(f"{fraction} {phase}")
    )
    return built, lines


@pytest.mark.usefixtures("default_interrupts")
@pytest.mark.parametrize("calls_before", [1, 20])
def test_ctrl_c_ends_a_real_build_without_a_crash(
    request_sm89: EngineRequest, tmp_path: Path, calls_before: int
) -> None:
    calls: list[str] = []

    def progress(fraction: float | None, phase: str) -> None:
        calls.append(phase)
        if len(calls) == calls_before:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        build_engine(
            dataclasses.replace(request_sm89, folder=tmp_path / "engines"),
            report=Lines(),
            progress=progress,
        )
    assert "Timing tactics" not in calls
    assert [path.suffix for path in (tmp_path / "engines").iterdir()] == [".log"]


def test_the_real_library_builds_the_network(real: tuple[BuiltEngine, Lines]) -> None:
    built, lines = real
    assert built.path.stat().st_size > 1_000_000
    assert built.record.identity.compute_capability == "sm89"
    assert built.record.identity.tensorrt_version in built.path.name
    assert lines[0] == "0.0 Building engine"
    assert lines[-1].startswith("1.0 ")
    log = log_of(built.path).read_text()
    assert "VERBOSE: " in log
    assert "Engine generation completed" in log


def test_a_real_engine_is_refused_on_other_gpus_and_with_a_flipped_byte(
    real: tuple[BuiltEngine, Lines], tmp_path: Path
) -> None:
    built, _ = real
    ampere = Gpu("NVIDIA RTX A4000", (8, 6), 16000, False)
    with pytest.raises(BackendError, match="built for sm89, this GPU is sm86 NVIDIA RTX A4000"):
        load_engine(built.path, gpu=ampere, rebuild=False)
    data = bytearray(built.path.read_bytes())
    data[len(data) // 2] ^= 1
    copy = tmp_path / built.path.name
    copy.write_bytes(data)
    sidecar_of(copy).write_bytes(sidecar_of(built.path).read_bytes())
    with pytest.raises(BackendError, match="is damaged or was replaced"):
        load_engine(copy, gpu=Gpu("NVIDIA L4", (8, 9), 23000, False))


def test_the_real_library_says_what_it_lacks_memory_for(real_library: Library, tmp_path: Path) -> None:
    onnx = write_tiny_onnx(tmp_path / "a.onnx")
    with pytest.raises(BackendError, match=r"TensorRT-RTX .*: .*whole log: .*plan.log"):
        build_engine(
            EngineRequest(
                onnx=onnx,
                folder=tmp_path / "engines",
                flavour=Flavour.tensorrt_rtx,
                profile=ShapeProfile.fixed(1, 4096, 4096),
                target="sm75",
                workspace_mib=1,
            ),
            report=Lines(),
        )
    assert [path.suffix for path in (tmp_path / "engines").iterdir()] == [".log"]


def public(owner: Any) -> set[str]:
    return {name for name in dir(owner) if not name.startswith("_")}


def test_the_fake_has_nothing_that_the_real_library_lacks(real_library: Library) -> None:
    real, fake = real_library.module, fake_tensorrt("rtx")
    assert public(fake) - public(real) == {"calls", "first_logger"}
    for name in ("NetworkDefinitionCreationFlag", "BuilderFlag", "MemoryPoolType", "ComputeCapability"):
        members = {member.name for member in getattr(fake, name)}
        assert members <= public(getattr(real, name))
    assert public(fake.Builder) <= public(real.Builder)
    assert public(fake.Runtime) <= public(real.Runtime)
    for name in ("FP16", "OBEY_PRECISION_CONSTRAINTS"):
        assert not hasattr(real.BuilderFlag, name)
    assert not hasattr(real.NetworkDefinitionCreationFlag, "EXPLICIT_BATCH")
