"""A model repository of shipped weights, as `refusion export --format triton` writes it, in FP32."""

from __future__ import annotations

from refusion.backends.tensorrt.shapes import ShapeProfile
from refusion.backends.triton.served_model import CHECKPOINT, MODEL, PRECISION, TASK, model_name
from refusion.export.triton import TritonBackend, TritonModel
from refusion.models import Model
from refusion.tasks import Task
from refusion.weights import shipped_weights

ANY_SIZE = ShapeProfile((1, 16, 16), (1, 48, 64), (4, 1080, 1920))


def served(model: Model, profile: ShapeProfile = ANY_SIZE, checkpoint: str = "c" * 64) -> TritonModel:
    """Return the entry of a model of ivif."""
    identity = {TASK: "ivif", MODEL: model.name, PRECISION: "fp32", CHECKPOINT: checkpoint}
    onnx = shipped_weights(Task.ivif, model).onnx
    name = model_name("ivif", model, "fp32", "onnx")
    return TritonModel(name, TritonBackend.onnxruntime, onnx, profile, "a note", identity)
