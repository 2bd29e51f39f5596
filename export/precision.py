"""Precision of an exported model: which parts of a mixed-FP16 network stay FP32, and why."""

from __future__ import annotations

import enum
import itertools
from collections import Counter
from dataclasses import dataclass
from typing import Any

from refusion.errors import RefusionError

FP32_ISLANDS = {
    "LayerNormalization": "layer norm: the variance is a difference of squares, which lose their digits",
    "ReduceMean": "layer norm, spelled out",
    "Pow": "layer norm, spelled out",
    "ReduceSum": "squared lengths of queries and keys: sums over all pixels pass 65504 (74,000 at 640x480)",
    "Softmax": "softmax of the scores: a few hundred numbers, for which FP16 saves nothing",
    "Sigmoid": "the output: FP16 has steps of 1/8 gray level near white",
}
"""Operators that run in FP32 in a mixed-FP16 model, with the reason. So do the products of queries and keys,
sums over all pixels as well. The islands are in the modules (`refusion.models.blocks`): what is
`widened` there stays so here."""


class ExportError(RefusionError):
    """The exported model does not compute what the checkpoint computes; nothing was written."""


@dataclass(frozen=True)
class Limits:
    """What an exported model must keep to on every verified input."""

    largest_error: float | None = None
    """Against PyTorch in float32, in [0, 1]."""
    lowest_psnr_db: float | None = None
    """Of the 8-bit result."""


class Precision(enum.Enum):
    """Precision of weights and activations; the value says what is demanded of the result."""

    fp32 = Limits(largest_error=1e-4)
    fp16 = Limits(lowest_psnr_db=55.0)


def check_islands(model: Any, *, half_products: bool = False) -> None:
    """Check that the simplified model kept its FP32 islands.

    Args:
        model: ONNX of a mixed-FP16 network.
        half_products: Whether it was exported with FP16 products of queries and keys.

    Raises:
        ExportError: An island was lost; the message names the operator.
    """
    import onnx

    float_inputs: Counter[str] = Counter()
    for node, dtypes in typed_nodes(model):
        if onnx.TensorProto.FLOAT16 in dtypes and node.op_type in FP32_ISLANDS:
            raise ExportError(
                f"{node.op_type} '{node.name}' would run in FP16 ({FP32_ISLANDS[node.op_type]}); nothing was "
                "written. Report this with the versions of torch and onnxsim"
            )
        if onnx.TensorProto.FLOAT in dtypes:
            float_inputs[node.op_type] += 1
    expected = 0 if half_products else float_inputs["Softmax"]
    if float_inputs["MatMul"] != expected:
        raise ExportError(
            f"{float_inputs['MatMul']} matrix products would run in FP32, {expected} should; "
            "nothing was written"
        )


def typed_nodes(model: Any) -> list[tuple[Any, set[int]]]:
    """Return each node of an ONNX with the element types of its inputs."""
    import onnx

    inferred = onnx.shape_inference.infer_shapes(model).graph
    dtypes = {tensor.name: tensor.data_type for tensor in inferred.initializer}
    for value in (*inferred.input, *inferred.value_info, *inferred.output):
        dtypes[value.name] = value.type.tensor_type.elem_type
    return [(node, {dtypes[name] for name in node.input if name in dtypes}) for node in model.graph.node]


def rounded_at_every_step(model: Any) -> Any:
    """Return a copy that rounds every FP16 result, to be run without graph optimisation.

    ONNX Runtime has no FP16 convolutions on a CPU: it computes in FP32 and leaves out the conversions between
    neighbours, and with them both the rounding and the overflow that a GPU shows. Two Identities on an FP16
    tensor keep them; a single one it would move to FP32 as well.
    """
    import onnx

    inferred = onnx.shape_inference.infer_shapes(model).graph
    halves = {
        value.name
        for value in (*inferred.value_info, *inferred.output)
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT16
    }
    strict = onnx.ModelProto()
    strict.CopyFrom(model)
    nodes = []
    for node in model.graph.node:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.input[:] = [f"{name}.rounded" if name in halves else name for name in node.input]
        nodes.append(copy)
        for name in halves.intersection(node.output):
            steps = (name, f"{name}.half", f"{name}.rounded")
            nodes += [onnx.helper.make_node("Identity", [a], [b]) for a, b in itertools.pairwise(steps)]
    del strict.graph.node[:]
    strict.graph.node.extend(nodes)
    return strict
