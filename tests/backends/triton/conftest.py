"""Servers with a repository of shipped weights: the stand-in, and Triton itself where it is named."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from triton_repository import served

from refusion.export.triton import write_model_repository
from refusion.models import Model


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
