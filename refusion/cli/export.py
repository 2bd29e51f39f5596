"""`refusion export`, also `refusion-export`: checkpoints to ONNX, engines and model repositories."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated, Optional

import typer

from refusion.cli.options import ForceOption, ModelOption, TaskOption


class ExportFormat(str, enum.Enum):
    """What can be written."""

    tensorrt = "tensorrt"
    tensorrt_rtx = "tensorrt-rtx"
    onnx = "onnx"
    triton = "triton"


class FormChoice(str, enum.Enum):
    """Operators of the ONNX."""

    auto = "auto"
    layernorm = "layernorm"
    decomposed = "decomposed"


SizeOption = Optional[str]  # noqa: UP045  (typer reads annotations at run time, on Python 3.10 too)
PathOption = Optional[Path]  # noqa: UP045
IntOption = Optional[int]  # noqa: UP045


def export(
    task: TaskOption = "ivif",
    model: ModelOption = None,
    fp16: Annotated[
        bool, typer.Option("--fp16", help="FP16 weights and activations, FP32 where FP16 breaks.")
    ] = False,
    fp32: Annotated[bool, typer.Option("--fp32", help="FP32 weights and activations (the default).")] = False,
    format: Annotated[ExportFormat, typer.Option(help="What to write.")] = ExportFormat.tensorrt,
    checkpoint: Annotated[
        PathOption,
        typer.Option(help=".safetensors, .pt of a run, or official .pth; default: the shipped weights."),
    ] = None,
    onnx: Annotated[
        PathOption, typer.Option(help="Start from this exported .onnx: for devices without PyTorch.")
    ] = None,
    shape: Annotated[SizeOption, typer.Option(help="One size, HxW: fastest.", metavar="HxW")] = None,
    min_shape: Annotated[
        SizeOption, typer.Option(help="Smallest size; default 16x16.", metavar="HxW")
    ] = None,
    opt_shape: Annotated[
        SizeOption, typer.Option(help="Size to tune for; default 480x640.", metavar="HxW")
    ] = None,
    max_shape: Annotated[
        SizeOption, typer.Option(help="Largest size; default 1080x1920.", metavar="HxW")
    ] = None,
    batch: Annotated[
        IntOption, typer.Option(min=1, help="Largest batch, with --shape the only one; default 1, triton 8.")
    ] = None,
    target: Annotated[
        SizeOption, typer.Option(help="GPU to build for without having it, e.g. sm89; tensorrt-rtx only.")
    ] = None,
    workspace: Annotated[
        IntOption, typer.Option(min=1, help="Most scratch memory of the engine.", metavar="MIB")
    ] = None,
    optimization_level: Annotated[
        IntOption, typer.Option(min=0, max=5, help="How long the builder searches, 0 to 5.")
    ] = None,
    form: Annotated[
        FormChoice,
        typer.Option(help="Operators of the ONNX: decomposed for TensorRT 8.5 and 8.6 (JetPack 5)."),
    ] = FormChoice.auto,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write to.")] = Path("engines"),
    verify_a: Annotated[
        PathOption,
        typer.Option(help="Folder of real sources a, to verify on besides rendered and hard inputs."),
    ] = None,
    verify_b: Annotated[PathOption, typer.Option(help="Folder of sources b, likewise.")] = None,
    force: ForceOption = False,
) -> None:
    """Export a checkpoint: simplified, and as close to PyTorch as its precision asks, or not written.

    The ONNX is written in every format, and kept whatever becomes of the engine. An ONNX that this very
    export wrote before is not written again.
    """
    from refusion.cli.export_steps import Export
    from refusion.errors import UsageError
    from refusion.models import Model
    from refusion.tasks import Task

    chosen = Task.parse(task)
    network = None if model is None else Model.parse(model)
    if fp16 and fp32:
        raise UsageError("--fp16 and --fp32 exclude each other")
    if (verify_a is None) != (verify_b is None):
        raise UsageError("--verify-a and --verify-b go together")
    if onnx is not None and (checkpoint or network or fp16 or fp32 or format is ExportFormat.onnx):
        raise UsageError(
            "--onnx starts from an exported model: leave out --checkpoint, --model, --fp16, --fp32"
        )
    if target is not None and format is not ExportFormat.tensorrt_rtx:
        raise UsageError("--target builds for a GPU that is not here, which --format tensorrt-rtx alone can")
    work = Export(
        task=chosen,
        model=network,
        precision="fp16" if fp16 else "fp32",
        checkpoint=checkpoint,
        onnx=onnx,
        sizes=(shape, min_shape, opt_shape, max_shape),
        batch=batch or (8 if format is ExportFormat.triton else 1),
        target=target,
        workspace_mib=workspace,
        optimization_level=optimization_level,
        form=form.value,
        folder=output,
        verification_pairs=(verify_a, verify_b) if verify_a and verify_b else None,
        force=force,
    )
    if format is ExportFormat.onnx:
        work.write_onnx()
    elif format is ExportFormat.triton:
        work.write_triton()
    else:
        work.write_engine(format.value)
