"""A model with the border of the real ones and a handful of layers: FP16 with an FP32 island."""

from __future__ import annotations

from pathlib import Path

OPSETS = {"layernorm": 20, "decomposed": 16}


def write_tiny_onnx(
    path: Path,
    *,
    form: str = "layernorm",
    precision: str = "fp16",
    shape: tuple[int | str, int | str, int | str] = ("batch", "height", "width"),
    output: str = "fused",
    **metadata: str | None,
) -> Path:
    """Write it; metadata given as None is left out."""
    import onnx
    from onnx import TensorProto, helper

    wide, narrow = TensorProto.FLOAT, TensorProto.FLOAT16 if precision == "fp16" else TensorProto.FLOAT
    batch, height, width = shape
    gelu = helper.make_node("Gelu" if form == "layernorm" else "Tanh", ["luma"], ["bent"], name="bend")
    nodes = [
        helper.make_node("Cast", ["sources"], ["narrow"], name="to_narrow", to=narrow),
        helper.make_node("Conv", ["narrow", "weight"], ["luma"], name="mix"),
        gelu,
        helper.make_node("Cast", ["bent"], ["wide"], name="to_wide", to=wide),
        # An island: a sum over all pixels passes 65504.
        helper.make_node("ReduceL2", ["wide"], ["norm"], name="island", axes=[2, 3])
        if form == "decomposed"
        else helper.make_node("ReduceL2", ["wide", "axes"], ["norm"], name="island"),
        helper.make_node("Div", ["wide", "norm"], ["even"], name="island_div"),
        helper.make_node("Cast", ["even"], ["back"], name="to_narrow_again", to=narrow),
        helper.make_node("Shape", ["wide"], ["size"], name="size"),
        helper.make_node("Gather", ["size", "order"], ["sizes"], name="sizes"),
        helper.make_node("Reshape", ["back", "sizes"], ["shaped"], name="shape"),
        helper.make_node("Sigmoid", ["shaped"], ["squashed"], name="squash"),
        helper.make_node("Cast", ["squashed"], [output], name="to_border", to=wide),
    ]
    weight = helper.make_tensor("weight", narrow, [1, 2, 1, 1], [0.5, 0.5])
    axes = helper.make_tensor("axes", TensorProto.INT64, [2], [2, 3])
    order = helper.make_tensor("order", TensorProto.INT64, [4], [0, 1, 2, 3])
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("sources", wide, [batch, 2, height, width])],
        [helper.make_tensor_value_info(output, wide, [batch, 1, height, width])],
        [weight, order, *([axes] if form == "layernorm" else [])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSETS[form])], ir_version=9)
    entries = {"architecture": "refusion-full", "task": "ivif", "model": "full", "precision": precision}
    entries |= {"checkpoint_sha256": "c" * 64, "form": form, "accuracy": '{"psnr_db": 63.0}'}
    for name, value in (entries | metadata).items():
        if value is not None:
            entry = model.metadata_props.add()
            entry.key, entry.value = f"refusion.{name}", value
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())
    return path
