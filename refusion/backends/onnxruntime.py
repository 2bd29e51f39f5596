"""ONNX Runtime on the CPU: the default where nothing faster is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusion.errors import BackendError, InputError, WeightsError

ARCHITECTURE_KEY = "refusion.architecture"
"""Metadata key that our exporter writes into each model."""


class OnnxRuntimeBackend:
    """Runs an ONNX model that `refusion export` wrote."""

    def __init__(self, weights: Path, *, threads: int = 0) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        # Bytes, not the path: a model then cannot make the runtime open other files (external data).
        if not weights.is_file():
            raise InputError(f"there is no model {weights}")
        try:
            self._session: Any = onnxruntime.InferenceSession(
                weights.read_bytes(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # the runtime's exceptions have no common public base
            raise WeightsError(f"{weights} is not a readable ONNX model: {_first_line(error)}") from None
        self._check_model(weights)
        self._version = onnxruntime.__version__

    def _check_model(self, weights: Path) -> None:
        metadata = self._session.get_modelmeta().custom_metadata_map
        inputs = [(value.name, value.type, len(value.shape)) for value in self._session.get_inputs()]
        outputs = [value.name for value in self._session.get_outputs()]
        expected = [("sources", "tensor(float)", 4)]
        if ARCHITECTURE_KEY not in metadata or inputs != expected or outputs != ["fused"]:
            raise WeightsError(
                f"{weights} is not a ReFusion model: expected the input {expected[0]}, the output 'fused' "
                f"and the metadata {ARCHITECTURE_KEY}, found {inputs} and {outputs}; "
                "`refusion export` writes such models"
            )

    @property
    def description(self) -> str:
        return f"ONNX Runtime {self._version}, CPU"

    def run(self, sources: NDArray[np.float32]) -> NDArray[np.float32]:
        try:
            fused: NDArray[np.float32] = self._session.run(["fused"], {"sources": sources})[0]
        except Exception as error:  # as above
            height, width = sources.shape[2:]
            raise BackendError(
                f"ONNX Runtime could not run {len(sources)} pair(s) of {width}x{height}: {_first_line(error)}"
            ) from None
        return fused

    def close(self) -> None:
        self._session = None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
