"""The ONNX that an engine is built from: read whole, and known to be one of ours, before TensorRT sees it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refusion.backends.tensorrt.identity import ShapeProfile
from refusion.backends.tensorrt.library import Library
from refusion.errors import InputError, UsageError, WeightsError

ACCURACY_KEY = "refusion.accuracy"
AXES = ("batch", "height", "width")
EXPORT = "`refusion export --format onnx` writes such a model"


@dataclass(frozen=True)
class OnnxSource:
    """An exported model and what its metadata says."""

    path: Path
    data: bytes
    sha256: str
    task: str
    model: str
    precision: str
    checkpoint_sha256: str
    form: str
    """The operators that it is made of: see Library.onnx_form."""
    shape: tuple[int | None, int | None, int | None]
    """Batch, height and width; None where they are dynamic."""
    accuracy: dict[str, Any]
    """Against FP32, as its export measured it; empty if the metadata does not say."""

    def check_library(self, library: Library) -> None:
        """Raise UsageError if the library's parser lacks operators of the model's form."""
        if self.form == "layernorm" and library.onnx_form != "layernorm":
            raise UsageError(
                f"{self.path} has operators of opset 20, which {library.description} does not read: export "
                "it again on this machine, in the 'decomposed' form"
            )

    def check_profile(self, profile: ShapeProfile) -> None:
        """Raise UsageError if the profile has a shape that the model does not take."""
        for index, (axis, fixed) in enumerate(zip(AXES, self.shape, strict=True)):
            asked = (profile.minimum[index], profile.maximum[index])
            if fixed is not None and asked != (fixed, fixed):
                found = " to ".join(str(value) for value in sorted(set(asked)))
                raise UsageError(
                    f"{self.path} has a fixed {axis} of {fixed}, the engine was asked for {found}: ask for "
                    f"{fixed}, or export the model with a dynamic {axis}"
                )


def read_source(path: Path) -> OnnxSource:
    """Read an exported model and its metadata.

    Raises:
        InputError: There is no such file.
        WeightsError: It is no ONNX model, is truncated, or was not exported by refusion.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"the ONNX model {path} cannot be read: {error.strerror}") from None
    metadata, shape = _described(path, data)
    names = ("task", "model", "precision", "checkpoint_sha256", "form")
    missing = [name for name in names if not metadata.get(f"refusion.{name}")]
    if missing:
        keys = ", ".join(f"refusion.{name}" for name in missing)
        raise WeightsError(f"{path} lacks the metadata {keys}: {EXPORT}")
    fields = {name: metadata[f"refusion.{name}"] for name in names}
    return OnnxSource(
        path=path,
        data=data,
        sha256=hashlib.sha256(data).hexdigest(),
        shape=shape,
        accuracy=_accuracy(path, metadata.get(ACCURACY_KEY, "{}")),
        **fields,
    )


def _accuracy(path: Path, text: str) -> dict[str, Any]:
    try:
        accuracy = json.loads(text)
    except (ValueError, RecursionError):
        accuracy = None
    if not isinstance(accuracy, dict):
        raise WeightsError(
            f"the metadata {ACCURACY_KEY} of {path} is {text!r:.60}, not JSON fields: {EXPORT}"
        )
    return accuracy


def _described(path: Path, data: bytes) -> tuple[dict[str, str], tuple[int | None, int | None, int | None]]:
    # ONNX Runtime is always installed, the onnx package is not; it also refuses what is no whole model.
    from refusion.backends.onnxruntime import load_onnxruntime

    onnxruntime = load_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime's exceptions have no common public base
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise WeightsError(f"{path} is not a readable ONNX model ({reason}): {EXPORT}") from None
    try:
        inputs = [(value.name, value.type, len(value.shape)) for value in session.get_inputs()]
        outputs = [(value.name, value.type) for value in session.get_outputs()]
        metadata = dict(session.get_modelmeta().custom_metadata_map)
    except UnicodeDecodeError:
        raise WeightsError(f"{path} is damaged: names or metadata within are no text; {EXPORT}") from None
    if inputs != [("sources", "tensor(float)", 4)] or outputs != [("fused", "tensor(float)")]:
        raise WeightsError(
            f"{path} is not a ReFusion model: expected the float32 input 'sources' of 4 dimensions and the "
            f"float32 output 'fused', found {inputs} and {outputs}; {EXPORT}"
        )
    batch, _, height, width = (
        size if isinstance(size, int) else None for size in session.get_inputs()[0].shape
    )
    return metadata, (batch, height, width)
