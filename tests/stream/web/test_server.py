"""The server without a browser: addresses, refusals, and one encode for all who see the same."""

from __future__ import annotations

import http.client
import json
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from moving_stream import SIZE, MovingStream

from refusion.errors import BackendError, OutputError, UsageError
from refusion.stream.rendering import View
from refusion.stream.web import WebServer

from .conftest import Client, threads_of_servers
from .waiting import wait_until

TOKEN = "a-long-secret"


@contextmanager
def jpegs(port: int, query: str = "") -> Iterator[Iterator[bytes]]:
    """Open the address of JPEGs, and read them one by one."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", f"/mjpeg{query}")
    response = connection.getresponse()
    assert response.status == 200

    def read() -> Iterator[bytes]:
        while True:
            line = response.readline()
            if not line:
                return
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
                response.readline()
                yield response.read(length)

    try:
        yield read()
    finally:
        # Closing the connection alone leaves the socket open, held by the response.
        response.close()
        connection.close()


def test_page_and_its_files(client: Client) -> None:
    page = client.get("/")
    assert page.status == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    text = page.body.decode()
    for name in ("viewer.css", "main.js", "icon.svg"):
        assert f'"/static/{name}"' in text
        assert client.get(f"/static/{name}").status == 200
    assert client.get("/static/main.js").headers["Content-Type"] == "text/javascript; charset=utf-8"


@pytest.mark.parametrize("path", ["/", "/static/viewer.css", "/api/status", "/nothing"])
def test_every_answer_protects_the_page(client: Client, path: str) -> None:
    headers = client.get(path).headers
    assert headers["Content-Security-Policy"].startswith(
        "default-src 'none'; script-src 'self'; style-src 'self'"
    )
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Server"] == "refusion"


def test_page_uses_nothing_from_elsewhere_and_nothing_inline() -> None:
    static = Path(sys.modules[WebServer.__module__].__file__ or "").parent / "static"
    pages = [path for path in static.iterdir() if path.suffix in (".html", ".css", ".js")]
    assert len(pages) > 5
    for path in pages:
        text = path.read_text(encoding="utf-8")
        assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
        assert "https://" not in text
        assert "<script>" not in text
        assert "style=" not in text
        assert "innerHTML" not in text


@pytest.mark.parametrize(
    "path",
    [
        "/static/../server.py",
        "/static/..%2fserver.py",
        "/static/%2e%2e/server.py",
        "/static/token.html/../../server.py",
        "/static//etc/passwd",
        "/static/",
        "/api/snapshots/..%2f..%2fetc%2fpasswd",
        "/api/snapshots/unknown",
        "/api/stills/1/infrared.png",
        "/nothing",
    ],
)
def test_no_path_leads_out(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status == 404
    assert "\n" not in answer.error


def test_status_is_json(client: Client, stream: MovingStream) -> None:
    wait_until(lambda: stream.wait(-1, 1.0))
    status = json.loads(client.get("/api/status").body)
    assert status["size"] == list(SIZE)
    assert [source["state"] for source in status["sources"]] == ["live", "live"]
    assert status["alignment"]["available"] is True
    assert status["stages"]["network"] == {"p50": 14.0, "p95": 16.0, "p99": 21.0}


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("view", b"{", "must be JSON, and is not"),
        ("view", [], "must be a JSON object, not a list"),
        ("view", {}, "the request lacks 'viewer'"),
        ("view", {"viewer": "nobody"}, "this viewer is not connected any more: reload the page"),
        ("view", {"viewer": 1}, "'viewer' must be a string, not a number"),
        ("webrtc", {"viewer": "nobody", "sdp": ""}, "this viewer is not connected any more"),
        ("snapshot", {"viewer": "nobody"}, "this viewer is not connected any more"),
        ("recording", {"recording": "yes"}, "'recording' must be true or false, not a string"),
        ("alignment/adjust", {"dx_px": "far"}, "'dx_px' must be a number, not a string"),
        ("alignment/adjust", {"scale": 0}, "'scale' must be from 0.1 to 10, not 0"),
        ("alignment/adjust", {"distance_m": -1}, "'distance_m' must be from 0.1 to 100000, not -1"),
        ("alignment/adjust", {"distance_m": 5}, "a fusion distance needs the cameras' parallax"),
        (
            "alignment/points",
            {"infrared": [], "visible": []},
            "at least 4; there are 0 in infrared and 0 in visible",
        ),
        (
            "alignment/points",
            {"infrared": [[1, 2]] * 5, "visible": [[1, 2]] * 4},
            "there are 5 in infrared and 4",
        ),
        ("alignment/points", {"infrared": 3}, "'infrared' must be a list of at most 100 points"),
    ],
)
def test_malformed_body_gets_one_line(client: Client, path: str, body: Any, message: str) -> None:
    answer = client.post(f"/api/{path}", body)
    assert answer.status == 400
    assert message in answer.error
    assert "\n" not in answer.error


def test_body_must_say_that_it_is_json(client: Client) -> None:
    answer = client.post("/api/recording", {"recording": True}, Content_Type="text/plain")
    assert answer.status == 400
    assert answer.error == "the request's content type must be application/json"


def test_body_has_a_largest_size(client: Client, stream: MovingStream) -> None:
    answer = client.post("/api/recording", b" " * 70_000 + b'{"recording": true}')
    assert (answer.status, answer.error) == (413, "the request is too large")
    assert stream.status().recording is None


def test_wrong_method(client: Client) -> None:
    assert client.get("/api/recording").status == 405
    assert client.post("/", {}).status == 405


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Host": "evil.example:80"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_other_pages_are_refused(
    client: Client, stream: MovingStream, method: str, headers: dict[str, str]
) -> None:
    if method == "POST":
        answer = client.post("/api/recording", {"recording": True}, **headers)
    else:
        answer = client.get("/api/status", **headers)
    assert answer.status == 403
    assert answer.error.startswith("this viewer answers to ")
    assert stream.status().recording is None


def test_links_from_elsewhere_open_the_page(client: Client) -> None:
    assert client.get("/", Sec_Fetch_Site="cross-site").status == 200
    assert client.get("/", Host="evil.example").status == 403


def test_socket_of_other_pages_is_refused(client: Client) -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec_WebSocket_Version": "13",
        "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    assert client.get("/live", Origin="http://evil.example", **upgrade).status == 403
    assert client.get("/live").status == 400


def test_token(stream: MovingStream) -> None:
    with WebServer(stream, port=0, token=TOKEN) as server:
        assert server.url == f"http://127.0.0.1:{server.port}/?token={TOKEN}"
        client = Client(server.port)
        refused = client.get("/")
        assert refused.status == 401
        assert b"This viewer needs its token" in refused.body
        assert "Set-Cookie" not in refused.headers
        assert client.get("/static/viewer.css").status == 200
        for path in ("/api/status", "/mjpeg", "/live", "/metrics", "/api/status?token=wrong-secret"):
            answer = client.get(path)
            assert (answer.status, answer.error) == (401, "this viewer needs its token")
        assert client.post("/api/recording", {"recording": True}).status == 401

        admitted = client.get(f"/?token={TOKEN}")
        assert admitted.status == 200
        cookie = admitted.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert TOKEN not in cookie
        session = cookie.partition(";")[0]
        assert client.get("/api/status", Cookie=session).status == 200
        assert client.get("/api/status", Cookie=f"{session}x").status == 401
        assert client.get("/api/status", Authorization=f"Bearer {TOKEN}").status == 200
        assert client.get("/api/status", Authorization=f"Bearer {TOKEN}x").status == 401
        foreign = client.get("/api/status", Cookie=session, Origin="http://evil.example")
        assert foreign.status == 403


def test_network_needs_a_token(stream: MovingStream) -> None:
    with pytest.raises(UsageError, match="the viewer at 0.0.0.0 would be open to the whole network"):
        WebServer(stream, host="0.0.0.0")
    with WebServer(stream, host="0.0.0.0", port=0, token=TOKEN) as server:
        assert server.url == f"http://{socket.gethostname()}:{server.port}/?token={TOKEN}"
        assert Client(server.port).get("/api/status", Host="camera.example").status == 401


def test_port_is_taken(server: WebServer, stream: MovingStream) -> None:
    second = WebServer(stream, port=server.port)
    with pytest.raises(OutputError, match=f"port {server.port} of 127.0.0.1 is taken by another program"):
        second.start()
    second.close()


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("192.0.2.77", "192.0.2.77 is no address of this machine: serve on 127.0.0.1 or 0.0.0.0"),
        ("no-such-name.invalid", "there is no address no-such-name.invalid: serve on 127.0.0.1"),
        ("a" * 300, "there is no address aaaa"),
    ],
)
def test_address_that_cannot_be_listened_on(stream: MovingStream, host: str, message: str) -> None:
    with pytest.raises(OutputError, match=message):
        WebServer(stream, host=host, port=0, token=TOKEN).start()


@pytest.mark.parametrize("port", [-1, 65536])
def test_port_is_one(stream: MovingStream, port: int) -> None:
    with pytest.raises(UsageError, match=f"must be from 0 to 65535, not {port}"):
        WebServer(stream, port=port)


def test_missing_aiohttp_is_said(stream: MovingStream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(
        BackendError, match=r"needs aiohttp, which is not installed: pip install 'refusion\[web\]'"
    ):
        WebServer(stream, port=0).start()


def test_closing_twice_is_harmless_and_leaves_nothing(stream: MovingStream) -> None:
    server = WebServer(stream, port=0)
    server.close()
    server.start()
    port = server.port
    with jpegs(port) as pictures:
        assert next(pictures)
        server.close()
        assert len(list(pictures)) < 20
    server.close()
    assert threads_of_servers() == []
    with pytest.raises(ConnectionRefusedError):
        Client(port).get("/")


def test_jpegs_show_the_view_that_is_asked_for(server: WebServer, stream: MovingStream) -> None:
    wait_until(lambda: stream.wait(-1, 1.0))
    with jpegs(server.port, "?view=side&palette=ironbow") as pictures:
        data = next(pictures)
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert picture.shape == (SIZE[1], 2 * SIZE[0], 3)
        assert next(pictures) != data
        assert [report.settings.view for report in server.channels()] == [View.side]
    assert Client(server.port).get("/mjpeg?view=both").status == 400
    assert Client(server.port).get("/mjpeg?blend=x").error == "'blend' must be a number, not 'x'"
    assert Client(server.port).get("/mjpeg?viewer=nobody").status == 400


def test_viewers_of_one_view_cost_one_encode(server: WebServer) -> None:
    with jpegs(server.port) as first, jpegs(server.port) as second, jpegs(server.port, "?view=ir") as other:
        for pictures in (first, second, other):
            next(pictures)
        reports = {report.settings.view: report for report in server.channels()}
        assert {view: report.viewers for view, report in reports.items()} == {View.fused: 2, View.ir: 1}
        same = [next(first) for _ in range(4)]
        assert set(same) & {next(second) for _ in range(4)}
    wait_until(lambda: server.channels() == ())
    wait_until(lambda: threads_of_servers() == ["refusion-web"] or len(threads_of_servers()) <= 2)


def test_viewers_have_a_largest_number(server: WebServer) -> None:
    with ExitStack() as open_feeds:
        for _ in range(32):
            open_feeds.enter_context(jpegs(server.port))
        answer = Client(server.port).get("/mjpeg")
        assert (answer.status, answer.error) == (503, "there are 32 viewers already, and no more at once")
        assert len(server.channels()) == 1
    wait_until(lambda: Client(server.port).get("/mjpeg?view=side&blend=2").status == 400)


def test_metrics(client: Client) -> None:
    answer = client.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert b"fused_rate_hertz" in answer.body


def test_slow_viewer_misses_pictures_and_holds_nobody_up(server: WebServer) -> None:
    with jpegs(server.port), jpegs(server.port) as quick:
        before = server.channels()[0].pictures if server.channels() else 0
        for _ in range(10):
            next(quick)
        assert server.channels()[0].pictures >= before + 9


def test_lost_stream_still_shows_its_last_picture(server: WebServer, stream: MovingStream) -> None:
    wait_until(lambda: stream.wait(-1, 1.0))
    stream.is_held = True
    with jpegs(server.port) as first:
        shown = next(first)
        with jpegs(server.port) as second:
            assert next(second) == shown


def test_errors_of_the_stream_are_one_line(client: Client, stream: MovingStream) -> None:
    stream.folder = stream.folder / "gone"
    answer = client.post("/api/recording", {"recording": True})
    assert answer.status == 507
    assert answer.error.endswith("gone is not there any more")


def test_bug_gives_nothing_away(
    client: Client, stream: MovingStream, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise KeyError("a secret detail")

    monkeypatch.setattr(stream, "start_recording", broken)
    answer = client.post("/api/recording", {"recording": True})
    assert answer.status == 500
    assert answer.error == "this failed, and should not have; the server's log says why"
    assert "a secret detail" in caplog.text
