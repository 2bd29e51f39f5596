"""Servers with a repository of shipped weights: the stand-in, and Triton itself where it is named."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from refusion.backends.tensorrt.shapes import ShapeProfile
from refusion.backends.triton.served_model import CHECKPOINT, MODEL, PRECISION, TASK, model_name
from refusion.export.triton import TritonBackend, TritonModel, write_model_repository
from refusion.models import Model
from refusion.tasks import Task
from refusion.weights import shipped_weights

ANY_SIZE = ShapeProfile((1, 16, 16), (1, 48, 64), (4, 1080, 1920))


def served(model: Model, profile: ShapeProfile = ANY_SIZE, checkpoint: str = "c" * 64) -> TritonModel:
    identity = {TASK: "ivif", MODEL: model.name, PRECISION: "fp32", CHECKPOINT: checkpoint}
    onnx = shipped_weights(Task.ivif, model).onnx
    name = model_name("ivif", model, "fp32", "onnx")
    return TritonModel(name, TritonBackend.onnxruntime, onnx, profile, "a note", identity)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository of both models of ivif."""
    folder = tmp_path / "repository"
    write_model_repository(folder, [served(Model.full), served(Model.lite)], force=False)
    return folder


@pytest.fixture
def local(repository: Path) -> Iterator[Any]:
    """The stand-in, whose faults tests choose."""
    pytest.importorskip("tritonclient.grpc", reason="tritonclient is not installed")
    from triton_server import LocalServer

    server = LocalServer(repository)
    yield server
    server.kill()


@pytest.fixture(params=["stand-in", "Triton"])
def server(request: pytest.FixtureRequest, repository: Path) -> Iterator[Any]:
    """Each server, one after the other."""
    pytest.importorskip("tritonclient.grpc", reason="tritonclient is not installed")
    from real_triton import COMMAND, RealServer
    from triton_server import LocalServer

    if request.param == "Triton" and COMMAND not in os.environ:
        pytest.skip(f"${COMMAND} names no Triton server")
    server = RealServer(repository) if request.param == "Triton" else LocalServer(repository)
    yield server
    server.kill()
