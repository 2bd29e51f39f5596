"""`refusion export`, also `refusion-export`: checkpoints to ONNX."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated, Optional

import typer

from refusion.cli.options import ForceOption, TaskOption


class ExportFormat(str, enum.Enum):
    """What can be written."""

    onnx = "onnx"


def export(
    task: TaskOption = "ivif",
    fp32: Annotated[bool, typer.Option("--fp32", help="FP32 weights and activations (the default).")] = False,
    checkpoint: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help=".safetensors, .pt of a run, or official .pth; default: the shipped weights."),
    ] = None,
    format: Annotated[ExportFormat, typer.Option(help="What to write.")] = ExportFormat.onnx,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write to.")] = Path("engines"),
    verify_a: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Folder of real sources a, to verify on besides the generated inputs."),
    ] = None,
    verify_b: Annotated[Optional[Path], typer.Option(help="Folder of sources b, likewise.")] = None,  # noqa: UP045
    force: ForceOption = False,
) -> None:
    """Export a checkpoint: dynamic batch and size, simplified, equal to PyTorch or not written at all."""
    import importlib.util

    from refusion.errors import BackendError, UsageError
    from refusion.files import make_folder
    from refusion.tasks import Task
    from refusion.weights import shipped_weights

    chosen = Task.parse(task)
    if (verify_a is None) != (verify_b is None):
        raise UsageError("--verify-a and --verify-b go together")
    missing = [name for name in ("torch", "onnx", "onnxsim") if importlib.util.find_spec(name) is None]
    if missing:
        raise BackendError(f"export needs {', '.join(missing)}: pip install 'refusion[export]'")
    from refusion.export.onnx_model import export_onnx

    source = checkpoint or shipped_weights(chosen).safetensors
    make_folder(output)
    report = export_onnx(
        source,
        output / f"{chosen.name}-full-fp32.{format.value}",
        task=chosen,
        verification_pairs=(verify_a, verify_b) if verify_a and verify_b else None,
        force=force,
    )
    print(
        f"wrote {report.path}: {report.nodes} nodes; largest error against PyTorch "
        f"{report.largest_error:.1e} over {report.verified_inputs} inputs"
    )
