"""The types that an ONNX states, imposed layer by layer where TensorRT else chooses its own (8.5 and 8.6)."""

from __future__ import annotations

from typing import Any

# Their types are given by the weights, the cast or the shape that they are.
FIXED = ("CONSTANT", "SHAPE", "IDENTITY", "CAST")


def constrain_layer_types(module: Any, network: Any) -> int:
    """Set each layer's precision and output types to those of its tensors; return how many were set.

    With the FP16 flag alone TensorRT 8 would run any layer in FP16, the FP32 islands too, whose values pass
    65504.
    """
    fixed = {getattr(module.LayerType, name) for name in FIXED if hasattr(module.LayerType, name)}
    floating = (module.DataType.FLOAT, module.DataType.HALF)
    count = 0
    for layer in (network.get_layer(index) for index in range(network.num_layers)):
        outputs = [layer.get_output(index) for index in range(layer.num_outputs)]
        if layer.type in fixed or any(output.dtype not in floating for output in outputs):
            continue
        layer.precision = outputs[0].dtype
        for index, output in enumerate(outputs):
            layer.set_output_type(index, output.dtype)
        count += 1
    return count
