"""A server that speaks Triton's gRPC protocol (its own messages and service) and runs a model repository.

It stands in for Triton where there is none: requests travel as they would, memory is shared as it would be,
the ONNX runs on ONNX Runtime. It does not batch. What it does wrong, and when, tests say by `Faults`.
"""

from __future__ import annotations

import itertools
import mmap
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import onnxruntime
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2, service_pb2, service_pb2_grpc


@dataclass
class Faults:
    """Called with the number of each request, from 0; may block, or abort by the context."""

    before: Callable[[int, Any], None] = lambda number, context: None
    """After the input is read, before the network runs."""
    after: Callable[[int, Any], None] = lambda number, answer: None
    """After the output is written, before the answer leaves; may change the answer."""
    writes_output: bool = True
    forgets_regions: bool = False
    """As several servers behind one address would seem to."""
    version: str = "2.51.0"
    extensions: tuple[str, ...] = ("system_shared_memory",)


class Repository(service_pb2_grpc.GRPCInferenceServiceServicer):
    """Answers from NAME/config.pbtxt and NAME/1/model.onnx."""

    def __init__(self, folder: Path, faults: Faults) -> None:
        self.faults = faults
        self.running = threading.Event()
        self.running.set()
        self.regions: dict[str, mmap.mmap] = {}
        self.configs = {
            path.parent.name: text_format.Parse(path.read_text(), model_config_pb2.ModelConfig())
            for path in folder.glob("*/config.pbtxt")
        }
        self._folder = folder
        self._sessions: dict[str, onnxruntime.InferenceSession] = {}
        self._loading = threading.Lock()
        self._numbers = itertools.count()

    def session(self, name: str) -> onnxruntime.InferenceSession:
        """Return what runs a model, loaded when it is first asked for."""
        with self._loading:
            if name not in self._sessions:
                path = self._folder / name / "1/model.onnx"
                self._sessions[name] = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
            return self._sessions[name]

    def ServerMetadata(self, request: Any, context: Any) -> Any:
        """Say what this is."""
        return service_pb2.ServerMetadataResponse(
            name="triton", version=self.faults.version, extensions=self.faults.extensions
        )

    def RepositoryIndex(self, request: Any, context: Any) -> Any:
        """List the models."""
        answer = service_pb2.RepositoryIndexResponse()
        for name in self.configs:
            answer.models.add(name=name, version="1", state="READY")
        return answer

    def ModelConfig(self, request: Any, context: Any) -> Any:
        """Give a model's configuration."""
        self._refuse_unknown(request.name, context)
        return service_pb2.ModelConfigResponse(config=self.configs[request.name])

    def SystemSharedMemoryRegister(self, request: Any, context: Any) -> Any:
        """Open a region."""
        try:
            descriptor = os.open(f"/dev/shm{request.key}", os.O_RDWR)
        except OSError:
            context.abort(grpc.StatusCode.INTERNAL, f"Unable to open shared memory region: '{request.key}'")
        self.regions[request.name] = mmap.mmap(descriptor, request.byte_size)
        os.close(descriptor)
        if self.faults.forgets_regions:
            self.regions.clear()
        return service_pb2.SystemSharedMemoryRegisterResponse()

    def SystemSharedMemoryUnregister(self, request: Any, context: Any) -> Any:
        """Give a region up; one that is not known is no error."""
        self.regions.pop(request.name, None)
        return service_pb2.SystemSharedMemoryUnregisterResponse()

    def SystemSharedMemoryStatus(self, request: Any, context: Any) -> Any:
        """List the regions."""
        answer = service_pb2.SystemSharedMemoryStatusResponse()
        for name in tuple(self.regions):
            answer.regions[name].name = name
        return answer

    def ModelInfer(self, request: Any, context: Any) -> Any:
        """Run one request."""
        number = next(self._numbers)
        self._refuse_unknown(request.model_name, context)
        (tensor,), (requested,) = request.inputs, request.outputs or [None]
        assert (tensor.name, tensor.datatype) == ("sources", "FP32")
        shape = tuple(tensor.shape)
        source, target = self._place(tensor, context), self._place(requested, context)
        raw = request.raw_input_contents[0] if source is None else source
        # A copy, as in a batch: what is answered late is then the frame that was asked for.
        sources = np.frombuffer(raw, np.float32, int(np.prod(shape))).reshape(shape).copy()
        self.running.wait()
        self.faults.before(number, context)
        (fused,) = self.session(request.model_name).run(["fused"], {"sources": sources})
        answer = service_pb2.ModelInferResponse(
            model_name=request.model_name, model_version="1", id=request.id
        )
        answer.outputs.add(name="fused", datatype="FP32", shape=fused.shape)
        written = fused.tobytes() if self.faults.writes_output else b""
        if target is None:
            answer.raw_output_contents.append(written)
        else:
            target[: len(written)] = written
            answer.raw_output_contents.append(b"")
        self.faults.after(number, answer)
        return answer

    def _refuse_unknown(self, name: str, context: Any) -> None:
        if name not in self.configs:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Request for unknown model: '{name}' is not found")

    def _place(self, tensor: Any, context: Any) -> memoryview | None:
        """Return where a tensor lies in shared memory; None: in the message."""
        if tensor is None or "shared_memory_region" not in tensor.parameters:
            return None
        name = tensor.parameters["shared_memory_region"].string_param
        if name not in self.regions:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Unable to find shared memory region: '{name}'")
        first = tensor.parameters["shared_memory_offset"].int64_param
        count = tensor.parameters["shared_memory_byte_size"].int64_param
        return memoryview(self.regions[name])[first : first + count]


class LocalServer:
    """Serves a repository on a port of loopback that stays its own when it is killed and started again."""

    def __init__(self, folder: Path, faults: Faults | None = None) -> None:
        self.folder = folder
        self.faults = faults or Faults()
        self.address = f"127.0.0.1:{free_port()}"
        self.start()

    def start(self) -> None:
        """Serve, with nothing known of an earlier time."""
        self.repository = Repository(self.folder, self.faults)
        self._server = grpc.server(ThreadPoolExecutor(4))
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(self.repository, self._server)
        assert self._server.add_insecure_port(self.address)
        self._server.start()

    def kill(self) -> None:
        """End at once, whatever is being answered."""
        self._server.stop(None).wait()

    def hold_up(self, seconds: float) -> None:
        """Answer nobody for so long; then go on with what there was to do."""
        self.repository.running.clear()
        time.sleep(seconds)
        self.repository.running.set()

    def region_count(self) -> int:
        """Return how many regions of clients it has open."""
        return len(self.repository.regions)


def free_port() -> int:
    """Return a port of loopback that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a repository; gives the address."""
    server = LocalServer(folder)
    try:
        yield server.address
    finally:
        server.kill()
