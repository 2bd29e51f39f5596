"""Each generation of TensorRT takes the builder through its path."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from engine_builds import Lines, build, library_of, told
from tiny_onnx import write_tiny_onnx

from refusion import BackendError, UsageError
from refusion.backends.tensorrt.sidecar import log_of, read_sidecar, sidecar_of
from refusion.backends.tensorrt.signing import is_signed
from refusion.export import engine
from refusion.gpus import GpuReport

pytest.importorskip("onnx", reason="onnx is not installed")


@pytest.mark.parametrize(
    ("generation", "creation", "flags", "level"),
    [
        ("8.5", ["EXPLICIT_BATCH"], ["FP16", "OBEY_PRECISION_CONSTRAINTS", "TF32"], None),
        ("8.6", ["EXPLICIT_BATCH"], ["FP16", "OBEY_PRECISION_CONSTRAINTS", "TF32"], 3),
        ("10", ["EXPLICIT_BATCH", "STRONGLY_TYPED"], ["TF32"], 3),
        ("11", ["STRONGLY_TYPED"], ["TF32"], 3),
        ("rtx", ["STRONGLY_TYPED"], ["TF32"], 3),
    ],
)
def test_each_generation_takes_its_path(
    tmp_path: Path, generation: str, creation: list[str], flags: list[str], level: int | None
) -> None:
    built = build(tmp_path / "engines", generation, workspace_mib=1024)
    plan = told(built)
    assert (plan["creation"], plan["flags"], plan["level"]) == (creation, flags, level)
    assert plan["pools"] == {"WORKSPACE": 1024 << 20}
    assert plan["profile"] == {"sources": [[1, 2, 8, 8], [1, 2, 32, 32], [2, 2, 64, 64]]}
    assert plan["capabilities"] == (["CURRENT"] if generation == "rtx" else None)
    record = built.record
    assert not built.was_there
    assert read_sidecar(built.path) == record
    assert is_signed(record)
    assert record.plan_bytes == built.path.stat().st_size
    assert record.accuracy == {"psnr_db": 63.0}
    assert record.identity.gpu_name == ("" if generation == "rtx" else "NVIDIA H200")
    assert record.identity.compute_capability == "sm90"
    names = {path.name for path in built.path.parent.iterdir()}
    assert names == {built.path.name, sidecar_of(built.path).name, log_of(built.path).name}
    assert "VERBOSE: timing island" in log_of(built.path).read_text()


@pytest.mark.parametrize("generation", ["8.5", "8.6"])
def test_fp32_islands_keep_their_type_where_types_are_not_kept_by_themselves(
    tmp_path: Path, generation: str
) -> None:
    half, single = ["HALF", ["HALF"]], ["FLOAT", ["FLOAT"]]
    assert told(build(tmp_path / "engines", generation))["layers"] == {
        "mix": half,
        "bend": half,
        "island": single,
        "island_div": single,
        "shape": half,
        "squash": half,
    }


@pytest.mark.parametrize("generation", ["8.5", "10", "11", "rtx"])
def test_fp32_is_fp32(tmp_path: Path, generation: str) -> None:
    library = library_of(generation)
    onnx = write_tiny_onnx(tmp_path / "fp32.onnx", form=library.onnx_form, precision="fp32")
    plan = told(build(tmp_path / "engines", library=library, onnx=onnx))
    assert plan["flags"] == []
    assert plan["layers"] == {}


def test_the_optimisation_level_is_set_where_there_is_one(tmp_path: Path) -> None:
    assert told(build(tmp_path / "a", "8.6", optimization_level=5))["level"] == 5
    with pytest.raises(UsageError, match="TensorRT 8.5.3.1 has no optimisation levels"):
        build(tmp_path / "b", "8.5", optimization_level=5)


def test_tensorrt_rtx_builds_for_a_named_target_without_a_gpu(tmp_path: Path) -> None:
    built = build(tmp_path / "engines", "rtx", target="sm89", gpu=None)
    assert told(built)["capabilities"] == ["SM89"]
    assert built.record.identity.compute_capability == "sm89"
    with pytest.raises(UsageError, match=r"does not build for 'sm87': it knows sm75, sm80, .*sm121"):
        build(tmp_path / "engines", "rtx", target="sm87", gpu=None)
    with pytest.raises(UsageError, match="cannot build for sm89: leave out --target, or give --format tens"):
        build(tmp_path / "engines", "10", target="sm89")


@pytest.mark.parametrize(
    ("generation", "says"),
    [
        ("10", "builds only on the GPU .* none was found .no driver.: .*--format tensorrt-rtx --target sm89"),
        ("rtx", "no GPU here to build for .no driver.: name one with --target, for instance sm89"),
    ],
)
def test_without_a_gpu_it_says_what_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, generation: str, says: str
) -> None:
    monkeypatch.setattr(engine, "find_gpus", lambda: GpuReport((), "no driver"))
    with pytest.raises(BackendError, match=says):
        build(tmp_path / "engines", generation, gpu=None)


def test_a_builder_that_cannot_start_gives_the_reason(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="could not start its builder: CUDA initialization failure"):
        build(tmp_path / "engines", library=library_of("10", has_gpu=False))


def test_progress_rises_to_one(tmp_path: Path) -> None:
    seen: list[tuple[float | None, str]] = []
    build(tmp_path / "engines", progress=lambda fraction, phase: seen.append((fraction, phase)))
    shares = [fraction for fraction, _ in seen]
    assert shares == sorted(shares)  # type: ignore[type-var]
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert 0.25 in shares or any(0.0 < (share or 0) < 0.5 for share in shares)
    assert "Optimizing graph" in {phase for _, phase in seen}


@pytest.mark.parametrize("generation", ["8.5", "8.6"])
def test_without_a_monitor_each_line_is_a_sign_of_life(tmp_path: Path, generation: str) -> None:
    seen: list[tuple[float | None, str]] = []
    build(tmp_path / "engines", generation, progress=lambda *call: seen.append(call))
    assert len(seen) >= 5
    assert set(seen) == {(None, "building")}


@pytest.mark.parametrize("generation", ["8.6", "10", "rtx"])
def test_what_progress_raises_ends_the_build(tmp_path: Path, generation: str) -> None:
    def progress(fraction: float | None, phase: str) -> None:
        raise RuntimeError("the terminal is gone")

    with pytest.raises(RuntimeError, match="the terminal is gone"):
        build(tmp_path / "engines", generation, progress=progress)
    assert [path.suffix for path in (tmp_path / "engines").iterdir()] == [".log"]


@pytest.mark.usefixtures("default_interrupts")
@pytest.mark.parametrize(
    ("generation", "says"), [("8.6", "TensorRT 8.6.1 cannot be stopped within a build"), ("10", None)]
)
def test_ctrl_c_leaves_the_log_alone(tmp_path: Path, generation: str, says: str | None) -> None:
    lines, calls = Lines(), []

    def progress(fraction: float | None, phase: str) -> None:
        calls.append(phase)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "engines", generation, progress=progress, report=lines)
    assert signal.getsignal(signal.SIGINT) is before
    assert [path.suffix for path in (tmp_path / "engines").iterdir()] == [".log"]
    assert [line for line in lines if says is not None and says in line] == ([lines[0]] if says else [])
