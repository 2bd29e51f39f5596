"""A server that speaks Triton's gRPC protocol (its own messages and service) and runs a model repository.

It stands in for Triton where there is none: requests travel as they would, the ONNX runs on ONNX Runtime.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import onnxruntime
from tritonclient.grpc import service_pb2, service_pb2_grpc


class Repository(service_pb2_grpc.GRPCInferenceServiceServicer):
    """Answers inference requests from NAME/1/model.onnx."""

    def __init__(self, folder: Path) -> None:
        self.sessions = {
            path.parents[1].name: onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
            for path in folder.glob("*/1/model.onnx")
        }

    def ModelInfer(self, request: Any, context: Any) -> Any:
        """Run one request."""
        if request.model_name not in self.sessions:
            context.abort(grpc.StatusCode.NOT_FOUND, f"unknown model '{request.model_name}'")
        (tensor,) = request.inputs
        assert (tensor.name, tensor.datatype) == ("sources", "FP32")
        sources = np.frombuffer(request.raw_input_contents[0], np.float32).reshape(tensor.shape)
        (fused,) = self.sessions[request.model_name].run(["fused"], {"sources": sources})
        answer = service_pb2.ModelInferResponse(model_name=request.model_name, model_version="1")
        answer.outputs.add(name="fused", datatype="FP32", shape=fused.shape)
        answer.raw_output_contents.append(fused.tobytes())
        return answer


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a repository on a free port of loopback; gives the address."""
    server = grpc.server(ThreadPoolExecutor(2))
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Repository(folder), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()
