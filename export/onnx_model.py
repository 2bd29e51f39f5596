"""PyTorch checkpoint to ONNX: dynamic batch and size, simplified, verified, then written."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from refusion.backends.onnxruntime import ARCHITECTURE_KEY
from refusion.errors import BackendError
from refusion.export.graph import runtime_form
from refusion.export.verification import Case, cases_from, generated_cases, verify
from refusion.files import refuse_existing, replacing
from refusion.models.checkpoints import ARCHITECTURE, load_fusion
from refusion.tasks import Task

# Opset 20 has Gelu, 17 LayerNormalization: one operator each instead of a dozen.
OPSET = 20
FP32_TOLERANCE = 1e-4


@dataclass(frozen=True)
class ExportReport:
    """What an export wrote."""

    path: Path
    nodes: int
    largest_error: float
    """Against PyTorch in float32, in [0, 1], over all verified inputs."""
    verified_inputs: int


def export_onnx(
    checkpoint: Path,
    target: Path,
    *,
    task: Task,
    verification_pairs: tuple[Path, Path] | None = None,
    force: bool = False,
) -> ExportReport:
    """Export a checkpoint to ONNX in FP32, with dynamic N, H and W.

    Args:
        checkpoint: `.safetensors` of ours, `.pt` of a training run, or an official `.pth`.
        target: The `.onnx` to write.
        task: The task that the weights are for; kept in the model's metadata.
        verification_pairs: Two folders of real pairs to verify on as well.
        force: Whether a target that is there may be replaced.

    Raises:
        InputError, WeightsError: The checkpoint cannot be read.
        ExportError: The model does not equal PyTorch within 1e-4; nothing is written.
        OutputError: The target cannot be written.
        BackendError: A package of the export extra is missing.
    """
    refuse_existing(target, force=force)
    module = load_fusion(checkpoint)
    model = _simplified(_traced(runtime_form(module)))
    for key, value in {
        ARCHITECTURE_KEY: ARCHITECTURE,
        "refusion.task": task.name,
        "refusion.precision": "fp32",
    }.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    data = model.SerializeToString()
    cases: list[Case] = list(generated_cases())
    if verification_pairs is not None:
        cases = [*cases, *cases_from(*verification_pairs)]
    worst = verify(module, _onnxruntime(data), iter(cases), tolerance=FP32_TOLERANCE)
    with replacing(target, force=force) as partial:
        partial.write_bytes(data)
    return ExportReport(target, len(model.graph.node), worst, len(cases))


def _traced(module: nn.Module) -> bytes:
    # Odd sizes and a batch of 2: nothing of the example may end up as a constant by coincidence.
    example = torch.rand(2, 2, 37, 53)
    dynamic = {0: "batch", 2: "height", 3: "width"}
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The dynamo exporter's graph has twice the nodes; until that changes its predecessor serves us
        # better, and says at every call that it is one.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (example,),
            cast(Any, buffer),  # annotated as a path, documented as a file too
            dynamo=False,
            opset_version=OPSET,
            input_names=["sources"],
            output_names=["fused"],
            dynamic_axes={"sources": dynamic, "fused": dynamic},
        )
    return buffer.getvalue()


def _simplified(data: bytes) -> Any:
    try:
        import onnx
        import onnxsim
    except ImportError as error:
        raise BackendError(f"{error.name} is not installed: pip install 'refusion[export]'") from None
    model, equal = onnxsim.simplify(onnx.load_from_string(data))
    if not equal:
        raise BackendError("onnxsim changed what the model computes; report this with its version")
    onnx.checker.check_model(model, full_check=True)
    return model


def _onnxruntime(data: bytes) -> Any:
    import onnxruntime

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return lambda sources: np.asarray(session.run(["fused"], {"sources": sources})[0])
