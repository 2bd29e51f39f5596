"""What reaches the browser viewer: bodies of requests, their headers, and whole requests as bytes."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from moving_stream import MovingStream, scene_pairs

from refusion.stream.web import WebServer
from refusion.stream.web.access import Access, Caller
from refusion.stream.web.fields import Fields

from .target import Parse, Target

_ACTIONS = (
    *("view", "snapshot", "recording", "stills"),
    *("alignment/adjust", "alignment/reset", "alignment/points"),
)
_BODIES = (
    {"viewer": "x", "view": "blend", "palette": "ironbow", "blend": 0.25},
    {"recording": True},
    {"recording": False},
    {},
    {"dx_px": 1.5, "dy_px": -2, "scale": 1.1, "rotation_deg": 3, "distance_m": 10},
    {
        "infrared": [[1, 2], [150, 3], [150, 110], [4, 100]],
        "visible": [[2, 4], [300, 6], [301, 220], [8, 200]],
    },
    {"viewer": "x", "sdp": "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 VP8/90000\r\n"},
)
_TIMEOUT_S = 10.0


@contextmanager
def _bodies(folder: Path) -> Iterator[Parse]:
    del folder

    def parse(data: bytes) -> None:
        fields = Fields.parse(data)
        fields.view_settings()
        fields.number("dx_px", low=-1e4, high=1e4, default=0)
        fields.optional_number("distance_m", low=0.1, high=1e5)
        for name in ("infrared", "visible"):
            fields.points(name, most=100)
        fields.flag("recording")
        fields.text("sdp")

    yield parse


@contextmanager
def _callers(folder: Path) -> Iterator[Parse]:
    del folder
    rules = [Access("127.0.0.1", None), Access("0.0.0.0", "a-long-secret")]

    def parse(data: bytes) -> None:
        # As aiohttp decodes headers.
        text = data.decode(errors="surrogateescape")
        words: list[str | None] = [word or None for word in text.split("\n")]
        caller = Caller(*(words + 6 * [None])[:6])
        for access in rules:
            assert access.token is None or not access.knows(caller) or access.token in text
            access.admits_host(caller)
            access.admits_origin(caller)

    yield parse


@contextmanager
def _requests(folder: Path) -> Iterator[Parse]:
    """Serve the viewer on loopback, and send it what comes, byte for byte."""
    (folder / "recordings").mkdir(exist_ok=True)
    with (
        MovingStream(scene_pairs()[:2], folder / "recordings") as stream,
        WebServer(stream, port=0) as server,
    ):
        address = ("127.0.0.1", server.port)

        def parse(data: bytes) -> None:
            with socket.create_connection(address, timeout=_TIMEOUT_S) as connection:
                try:
                    connection.sendall(data)
                    connection.shutdown(socket.SHUT_WR)
                    answer = connection.recv(1 << 16)
                except ConnectionError:
                    return  # it refused before it had read all
            assert b" 500 " not in answer[:16], answer

        yield parse


def _request(path: str, body: bytes) -> bytes:
    head = f"POST /api/{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


TARGETS = (
    Target(
        "fields",
        _bodies,
        lambda: [json.dumps({name: value for body in _BODIES for name, value in body.items()}).encode()],
        ("refusion.stream.web.fields", "refusion.stream.rendering", "refusion.choices", "json"),
    ),
    Target(
        "caller",
        _callers,
        lambda: [
            b"localhost:8080\nhttp://localhost:8080\nsame-origin\nBearer a-long-secret\na-long-secret\nx",
            b"[::1]:8080\nnull\ncross-site",
        ],
        ("refusion.stream.web.access", "urllib.parse", "ipaddress"),
        longest_bytes=512,
    ),
    Target(
        "request",
        _requests,
        lambda: [
            _request(path, json.dumps(body).encode())
            for path, body in zip(_ACTIONS, (*_BODIES[:2], *_BODIES[2:6], _BODIES[5]), strict=False)
        ],
        ("refusion.stream.web",),
        needs=("aiohttp",),
    ),
)
