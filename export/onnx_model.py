"""PyTorch checkpoint to ONNX, FP32 or mixed FP16: traced, simplified, verified, then written."""

from __future__ import annotations

import dataclasses
import enum
import io
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import refusion
from refusion.backends.onnxruntime import ARCHITECTURE_KEY
from refusion.backends.tensorrt.shapes import Shape, shape_text
from refusion.errors import BackendError
from refusion.export.graph import half_convolutions, runtime_form
from refusion.export.onnx_source import ACCURACY_KEY
from refusion.export.precision import Precision, check_islands, rounded_at_every_step
from refusion.export.verification import (
    Accuracy,
    Run,
    Track,
    cases_for,
    onnxruntime_runner,
    untracked,
    verify,
)
from refusion.files import refuse_existing, replacing
from refusion.models import Model
from refusion.models.checkpoints import FusionNetwork, load_network, model_of
from refusion.tasks import Task
from refusion.weights import sha256
from refusion.weights_file import stated_model


class OnnxForm(enum.Enum):
    """The operators that a model is made of; the value is its opset."""

    layernorm = 20
    """Opset 20 has Gelu, 17 LayerNormalization: one operator each instead of a dozen."""
    decomposed = 16
    """Neither of them, for parsers that know neither: TensorRT 8.5 and 8.6."""


@dataclass(frozen=True)
class OnnxRequest:
    """What to export, and how."""

    checkpoint: Path
    """`.safetensors` of ours, full or lite, `.pt` of a training run, or an official `.pth`."""
    task: Task
    """The task that the weights are for; kept in the model's metadata."""
    precision: Precision = Precision.fp32
    form: OnnxForm = OnnxForm.layernorm
    shape: Shape | None = None
    """(batch, height, width) to fix; None leaves all three dynamic."""
    half_products: bool = False
    """Multiply queries and keys in FP16, for TensorRT-RTX on Turing; FP16 only."""

    @cached_property
    def model(self) -> Model:
        """The network that the checkpoint holds; errors as in `load_network`."""
        return stated_model(self.checkpoint) or model_of(load_network(self.checkpoint))

    def metadata(self) -> dict[str, str]:
        """Return what identifies the exported model; the runtime and the engine builder read it."""
        return {
            ARCHITECTURE_KEY: self.model.value.architecture,
            "refusion.task": self.task.name,
            "refusion.model": self.model.name,
            "refusion.precision": self.precision.name,
            "refusion.form": self.form.name,
            "refusion.shape": shape_text(self.shape) if self.shape else "dynamic",
            "refusion.products": "fp16" if self.half_products else "fp32",
            "refusion.checkpoint_sha256": sha256(self.checkpoint),
            "refusion.version": refusion.__version__,
        }

    def file_name(self) -> str:
        """Return the model's file name; what is usual is not in it."""
        parts = [self.task.name, self.model.name, self.precision.name]
        parts += [shape_text(self.shape)] if self.shape else []
        parts += ["decomposed"] if self.form is OnnxForm.decomposed else []
        parts += ["turing"] if self.half_products else []
        return "-".join(parts) + ".onnx"


@dataclass(frozen=True)
class ExportReport:
    """An exported model on disk."""

    path: Path
    nodes: int
    accuracy: Accuracy
    """Against PyTorch in float32."""
    was_there: bool = False
    """Whether it had been exported before, and was kept."""


def export_onnx(
    request: OnnxRequest,
    target: Path,
    *,
    verification_pairs: tuple[Path, Path] | None = None,
    track: Track = untracked,
    report: Callable[[str], None] = lambda line: None,
    force: bool = False,
) -> ExportReport:
    """Export a checkpoint to ONNX. Input and output are float32 in either precision.

    Args:
        request: What to export.
        target: The `.onnx` to write.
        verification_pairs: Two folders of real pairs to verify on, besides rendered and hard inputs.
        track: Wraps the verified inputs, to show progress.
        report: Takes lines for people.
        force: Whether a target that is there may be replaced.

    Raises:
        InputError, WeightsError: The checkpoint cannot be read.
        ExportError: The model is not close enough to PyTorch, or lost an FP32 island; nothing is written.
        OutputError: The target cannot be written.
        BackendError: A package of the export extra is missing.
    """
    refuse_existing(target, force=force)
    module = load_network(request.checkpoint)
    report(f"tracing {request.checkpoint.name}")
    model = _simplified(_traced(module, request), request.shape)
    is_mixed = request.precision is Precision.fp16
    if is_mixed:
        check_islands(model, half_products=request.half_products)
    for key, value in request.metadata().items():
        _describe(model, key, value)
    cases = cases_for(request.precision, request.shape, verification_pairs)
    strict = rounded_at_every_step(model) if is_mixed else model
    run = onnxruntime_runner(strict.SerializeToString(), optimise=not is_mixed)
    limits = request.precision.value
    reference = pytorch_runner(module)
    accuracy = verify(reference, run, track(cases), limits=limits)
    _describe(model, ACCURACY_KEY, json.dumps(dataclasses.asdict(accuracy)))
    data = model.SerializeToString()
    if is_mixed:
        # Above it ran with every step rounded; here as its users will run it.
        verify(reference, onnxruntime_runner(data), cases[:1], limits=limits)
    with replacing(target, force=force) as partial:
        partial.write_bytes(data)
    return ExportReport(target, len(model.graph.node), accuracy)


def exported_before(request: OnnxRequest, target: Path) -> ExportReport | None:
    """Return the report of a target that is this very export, None if it is anything else or not there."""
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(target, load_external_data=False)
        found = {entry.key: entry.value for entry in model.metadata_props}
        accuracy = Accuracy(**json.loads(found.pop(ACCURACY_KEY)))
    except (OSError, DecodeError, KeyError, ValueError, TypeError, RecursionError):
        return None
    if found != request.metadata():
        return None
    return ExportReport(target, len(model.graph.node), accuracy, was_there=True)


def pytorch_runner(module: nn.Module) -> Run:
    """Return a function that runs a module on the CPU."""

    def run(sources: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            return np.asarray(module(torch.from_numpy(sources)))

    return run


def _describe(model: Any, key: str, value: str) -> None:
    entry = model.metadata_props.add()
    entry.key, entry.value = key, value


def _traced(module: FusionNetwork, request: OnnxRequest) -> bytes:
    form = runtime_form(module, half_products=request.half_products)
    if request.precision is Precision.fp16:
        half_convolutions(form)
    dynamic = {0: "batch", 2: "height", 3: "width"}
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The dynamo exporter's graph has twice the nodes; until that changes its predecessor serves us
        # better, and says at every call that it is one.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            form,
            # Odd sizes and a batch of 2: nothing of the example may end up as a constant by coincidence. A
            # fixed shape comes after tracing: a CPU takes a minute for 640x480 in FP16.
            (torch.rand(2, 2, 37, 53),),
            cast(Any, buffer),  # annotated as a path, documented as a file too
            dynamo=False,
            opset_version=request.form.value,
            input_names=["sources"],
            output_names=["fused"],
            dynamic_axes={"sources": dynamic, "fused": dynamic},
        )
    return buffer.getvalue()


def _simplified(data: bytes, shape: Shape | None) -> Any:
    try:
        import onnx
        import onnxsim
    except ImportError as error:
        raise BackendError(f"{error.name} is not installed: pip install 'refusion[export]'") from None
    model = onnx.load_from_string(data)
    if shape is not None:
        for value in (*model.graph.input, *model.graph.output):
            axes = value.type.tensor_type.shape.dim
            for axis, size in zip((axes[0], *axes[2:]), shape, strict=True):
                axis.dim_value = size
    model, equal = onnxsim.simplify(model)
    if not equal:
        raise BackendError("onnxsim changed what the model computes; report this with its version")
    onnx.checker.check_model(model, full_check=True)
    del model.metadata_props[:]  # kilobytes on what was simplified
    return model
