"""Triton's backend "onnxruntime" for servers that have the Python backend alone, as nvidia-pytriton's.

Give --backend-directory a folder that holds this one and the server's own `python`. The interpreter that is
first in PATH needs onnxruntime, and a NumPy that the server was built for: with another, tensors come empty.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import triton_python_backend_utils as triton  # from the server


class TritonPythonModel:
    """Runs model.onnx of one version of a model."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the model."""
        path = Path(args["model_repository"]) / args["model_version"] / "model.onnx"
        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def execute(self, requests: list[Any]) -> list[Any]:
        """Run requests of one size, which Triton has gathered, in one batch."""
        sources = [triton.get_input_tensor_by_name(request, "sources").as_numpy() for request in requests]
        (fused,) = self.session.run(["fused"], {"sources": np.concatenate(sources)})
        ends = np.cumsum([len(part) for part in sources])[:-1]
        return [
            triton.InferenceResponse([triton.Tensor("fused", np.ascontiguousarray(part))])
            for part in np.split(fused, ends)
        ]
