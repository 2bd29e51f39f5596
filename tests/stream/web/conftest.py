"""A moving stream, and a server of it."""

from __future__ import annotations

import http.client
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from moving_stream import MovingStream, scene_pairs

from refusion.frames import FramePair
from refusion.stream.web import WebServer

from .pages import Page, way_of
from .waiting import wait_until

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


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no chromium on the path")
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def open_page(browser: Any, server: WebServer) -> Iterator[Callable[..., Page]]:
    """Return what opens the viewer in a new window; no page may have met an error of its own."""
    errors: list[str] = []
    contexts = []

    def open_one(url: str = "", *, waits: bool = True, **options: Any) -> Page:
        context = browser.new_context(viewport={"width": 1100, "height": 800}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(url or server.url)
        if waits:
            wait_until(lambda: way_of(page))
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert errors == []
    # Who leaves frees what was encoded for them alone.
    wait_until(lambda: server.channels() == ())
