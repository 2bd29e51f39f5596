from __future__ import annotations

from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed")

from refusion.export.precision import (  # noqa: E402
    ExportError,
    check_islands,
    rounded_at_every_step,
)
from refusion.export.verification import onnxruntime_runner  # noqa: E402

HALF, SINGLE = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT


def model_of(nodes: list[Any], weights: list[Any] = ()) -> Any:
    values = [
        onnx.helper.make_tensor_value_info("sources", SINGLE, [1, 1, 2, 2]),
        onnx.helper.make_tensor_value_info("fused", SINGLE, [1, 1, 2, 2]),
    ]
    graph = onnx.helper.make_graph(nodes, "test", values[:1], values[1:], list(weights))
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model


def node(kind: str, source: str, result: str, **attributes: Any) -> Any:
    return onnx.helper.make_node(kind, [source], [result], name=f"the_{kind}_of_{source}", **attributes)


def softmax_model(*, softmax_in_half: bool) -> Any:
    product = onnx.helper.make_node("MatMul", ["sources", "sources"], ["scores"])
    if not softmax_in_half:
        return model_of([product, node("Softmax", "scores", "fused")])
    casts = [node("Cast", "scores", "half", to=HALF), node("Cast", "weights", "fused", to=SINGLE)]
    return model_of([product, casts[0], node("Softmax", "half", "weights"), casts[1]])


def test_islands_that_are_there_pass() -> None:
    check_islands(softmax_model(softmax_in_half=False))


def test_a_lost_island_is_named() -> None:
    with pytest.raises(
        ExportError, match=r"Softmax 'the_Softmax_of_half' would run in FP16 \(softmax of the scores"
    ):
        check_islands(softmax_model(softmax_in_half=True))


def test_products_in_the_wrong_precision_are_counted() -> None:
    with pytest.raises(ExportError, match="1 matrix products would run in FP32, 0 should"):
        check_islands(softmax_model(softmax_in_half=False), half_products=True)


def test_overflow_between_two_half_steps_shows_only_where_every_step_is_rounded() -> None:
    weights = [
        onnx.helper.make_tensor(name, HALF, [1, 1, 1, 1], [value])
        for name, value in (("up", 60000.0), ("down", 1 / 60000))
    ]
    nodes = [
        node("Cast", "sources", "half", to=HALF),
        onnx.helper.make_node("Conv", ["half", "up"], ["large"]),
        onnx.helper.make_node("Conv", ["large", "down"], ["back"]),
        node("Cast", "back", "fused", to=SINGLE),
    ]
    model = model_of(nodes, weights)
    sources = np.full((1, 1, 2, 2), 2.0, np.float32)
    as_written = onnxruntime_runner(model.SerializeToString())(sources)
    np.testing.assert_allclose(as_written, 2.0, rtol=1e-2)
    strict = rounded_at_every_step(model)
    assert np.isinf(onnxruntime_runner(strict.SerializeToString(), optimise=False)(sources)).all()
