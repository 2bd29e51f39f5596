"""export, end to end."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_onnx import write_tiny_onnx

import refusion.cli
from refusion.backends.tensorrt.sidecar import log_of, read_sidecar

Command = Callable[..., Any]
FIXED = ("--fp16", "--shape", "48x64")


def need(*packages: str) -> None:
    for package in packages:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")


def needs_checkpoints() -> None:
    need("torch", "onnx", "onnxsim")


def names(folder: str) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def test_export_writes_a_model_that_fuse_takes(cli: Command, images: tuple[Path, Path]) -> None:
    needs_checkpoints()
    arguments = ("export", "--fp32", "--format", "onnx", "-o", "engines")
    outcome = cli(*arguments)
    assert outcome.status == 0, outcome.err
    assert outcome.out.startswith("wrote engines/ivif-full-fp32.onnx: ")
    assert names("engines") == ["ivif-full-fp32.onnx"]
    model = Path("engines/ivif-full-fp32.onnx")
    assert cli("fuse", *images, "-o", "fused.png", "--weights", model).status == 0
    # The same again is there already; anything else of that name is somebody's.
    assert cli(*arguments).out.startswith("kept engines/ivif-full-fp32.onnx: ")
    model.write_bytes(b"mine")
    assert cli(*arguments).error_lines == [
        "error: engines/ivif-full-fp32.onnx is there already; give --force to replace it"
    ]
    assert model.read_bytes() == b"mine"


def test_without_tensorrt_the_onnx_is_kept_and_the_status_is_not_0(
    cli: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    needs_checkpoints()
    if importlib.util.find_spec("tensorrt") is not None:
        pytest.skip("tensorrt is installed")
    outcome = cli("export", "--task", "ivif", *FIXED)
    assert outcome.status == 1
    assert outcome.out.startswith("wrote engines/ivif-full-fp16-1x48x64.onnx: ")
    (line,) = outcome.error_lines
    assert line.startswith(
        "error: no engine was built, the ONNX is kept (engines/ivif-full-fp16-1x48x64.onnx): "
        "TensorRT is not installed: "
    )
    assert "pip install" in line
    assert names("engines") == ["ivif-full-fp16-1x48x64.onnx"]
    # The separate script has the same options.
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", ["refusion-export", "--task", "ivif", *FIXED])
    with pytest.raises(SystemExit) as leaving:
        refusion.cli.export_main()
    assert leaving.value.code == 1
    assert capsys.readouterr().out.startswith("kept engines/")


def test_an_rtx_engine_is_built_for_a_named_gpu(cli: Command) -> None:
    needs_checkpoints()
    need("tensorrt_rtx")
    arguments = ("export", "--task", "mif", *FIXED, "--format", "tensorrt-rtx", "--target", "sm89")
    outcome = cli(*arguments)
    assert outcome.status == 0, outcome.err
    (plan,) = Path("engines").glob("*.plan")
    assert plan.name.startswith("mif-full-fp16-1x48x64-sm89-tensorrt-rtx")
    record = read_sidecar(plan)
    assert record is not None
    assert record.onnx_file == "mif-full-fp16-1x48x64.onnx"
    assert record.identity.precision == "fp16"
    assert record.accuracy["largest_error"] <= 1 / 255
    assert log_of(plan).is_file()
    assert cli(*arguments).out.splitlines()[1].startswith(f"kept {plan}: ")


def test_turing_gets_an_engine_of_half_products(cli: Command) -> None:
    needs_checkpoints()
    need("tensorrt_rtx")
    outcome = cli("export", *FIXED, "--format", "tensorrt-rtx", "--target", "sm75")
    assert outcome.status == 0, outcome.err
    assert "ivif-full-fp16-1x48x64-turing.onnx" in names("engines")


def test_an_onnx_is_enough_for_an_engine(cli: Command) -> None:
    need("tensorrt_rtx", "onnx")
    write_tiny_onnx(Path("tiny.onnx"))
    outcome = cli("export", "--onnx", "tiny.onnx", "--format", "tensorrt-rtx", "--target", "sm89")
    assert outcome.status == 0, outcome.err
    (plan,) = Path("engines").glob("*.plan")
    record = read_sidecar(plan)
    assert record is not None
    assert record.accuracy == {"psnr_db": 63.0}


def test_a_triton_repository_of_an_onnx(cli: Command) -> None:
    need("onnx")
    write_tiny_onnx(Path("tiny.onnx"))
    outcome = cli("export", "--onnx", "tiny.onnx", "--format", "triton")
    assert outcome.status == 0, outcome.err
    assert outcome.out.splitlines()[-1] == "wrote engines/triton/refusion_ivif_fp16_onnx"
    folder = Path("engines/triton/refusion_ivif_fp16_onnx")
    assert "max_batch_size: 8" in (folder / "config.pbtxt").read_text()
    assert (folder / "1" / "model.onnx").read_bytes() == Path("tiny.onnx").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--fp16 --fp32", "--fp16 and --fp32 exclude each other"),
        (
            "--target sm89",
            "--target builds for a GPU that is not here",
        ),
        ("--onnx tiny.onnx --fp16", "--onnx starts from an exported model: leave out"),
        ("--onnx none.onnx", "the ONNX model none.onnx cannot be read: No such file"),
        ("--onnx junk.onnx --format triton", "junk.onnx is not a readable ONNX model"),
        ("--onnx tiny.onnx --format triton --shape 48", "'48' is no size: expected HEIGHTxWIDTH"),
        ("--onnx tiny.onnx --format triton --shape 48x64 --max-shape 64x64", "--shape gives the only size"),
        ("--onnx tiny.onnx --format triton --min-shape 64x64 --opt-shape 48x48", "must rise from minimum"),
        ("--verify-a .", "--verify-a and --verify-b go together"),
    ],
)
def test_bad_requests_are_refused_before_anything_is_written(
    cli: Command, arguments: str, message: str
) -> None:
    need("onnx")
    write_tiny_onnx(Path("tiny.onnx"))
    Path("junk.onnx").write_bytes(b"junk" * 50)
    outcome = cli("export", *arguments.split())
    assert outcome.status == 1
    (line,) = outcome.error_lines
    assert message in line
    assert not Path("engines").exists() or names("engines") == []


def test_an_unknown_target_names_those_that_are_known(cli: Command) -> None:
    need("tensorrt_rtx", "onnx")
    write_tiny_onnx(Path("tiny.onnx"))
    outcome = cli("export", "--onnx", "tiny.onnx", "--format", "tensorrt-rtx", "--target", "sm87")
    assert outcome.status == 1
    assert "does not build for 'sm87': it knows sm75, " in outcome.error_lines[0]
