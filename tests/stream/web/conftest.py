"""A moving stream, and a server of it."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from moving_stream import MovingStream, scene_pairs

from refusion.frames import FramePair
from refusion.stream.web import WebServer

pytest.importorskip("aiohttp", reason="aiohttp is not installed")


class Answer(NamedTuple):
    """What a server says to one request."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> str:
        return json.loads(self.body)["error"]


class Client:
    """Sends single requests to one port of this machine."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(self, method: str, path: str, body: bytes | str | None = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body=body, headers=named)
            response = connection.getresponse()
            return Answer(response.status, dict(response.headers), response.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, **headers)

    def post(self, path: str, body: Any, **headers: str) -> Answer:
        text = body if isinstance(body, (bytes, str)) else json.dumps(body)
        return self.ask("POST", path, text, **{"Content_Type": "application/json", **headers})


@pytest.fixture(scope="session")
def pairs() -> list[FramePair]:
    return scene_pairs()


@pytest.fixture
def stream(pairs: list[FramePair], tmp_path: Path) -> Iterator[MovingStream]:
    folder = tmp_path / "recordings"
    folder.mkdir()
    with MovingStream(pairs, folder) as running:
        yield running


@pytest.fixture
def server(stream: MovingStream) -> Iterator[WebServer]:
    with WebServer(stream, port=0) as serving:
        yield serving
    assert threads_of_servers() == []


@pytest.fixture
def client(server: WebServer) -> Client:
    return Client(server.port)


def threads_of_servers() -> list[str]:
    """Return the names of threads that a closed server has left behind."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("refusion-web")]


def wait_until(condition: Callable[[], Any], *, seconds: float = 10.0) -> Any:
    """Wait for a condition, and return its value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "this never came true"
        time.sleep(0.02)
    return value
