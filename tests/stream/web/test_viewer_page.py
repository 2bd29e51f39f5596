"""The viewer's page in a real browser: states, access, keyboard, phones, what it falls back to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from moving_stream import MovingStream

from refusion.frames import FramePair
from refusion.stream.rendering import ViewSettings
from refusion.stream.web import WebServer

from .conftest import threads_of_servers
from .pages import Page, hold, message_of, shows, way_of
from .waiting import wait_until

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("aiortc", reason="aiortc is not installed")


TOKEN = "a-long-secret"

FROM_ANOTHER_PAGE = """async (address) => {
    const body = JSON.stringify({ recording: true });
    const headers = { "Content-Type": "application/json" };
    const posted = fetch(`${address}api/recording`, { method: "POST", headers, body });
    const opened = new Promise((resolve, reject) => {
        const socket = new WebSocket(`${address.replace("http", "ws")}live`);
        socket.onopen = resolve;
        socket.onerror = reject;
    });
    return Promise.all([posted, opened].map((tried) => tried.then(() => "done", () => "refused")));
}"""


def test_state_of_cameras_is_shown(open_page: Callable[..., Page], stream: MovingStream) -> None:
    page = open_page()
    assert page.locator("#state").inner_text().endswith("Live")
    stream.lose(0)
    wait_until(lambda: page.locator("#state").inner_text().endswith("Visible only"))
    infrared = page.locator("#cameras .camera").first
    assert "lost" in infrared.inner_text()
    assert "infrared: no answer; trying again" in page.locator("#events").inner_text()
    assert page.locator("#rate").inner_text().startswith("20.0")
    assert page.locator("#latency").inner_text().split("\n") == ["31 ms", "p99 52 ms"]
    assert page.locator("#skew").inner_text().split("\n") == ["4.0 ms", "p99 13 ms"]
    assert page.locator("#stages tr").count() >= 3
    chart = page.locator("#chart").screenshot()
    assert np.ptp(cv2.imdecode(np.frombuffer(chart, np.uint8), cv2.IMREAD_GRAYSCALE)) > 60


def test_end_of_the_stream_and_a_new_one(browser: Any, stream: MovingStream) -> None:
    server = WebServer(stream, port=0)
    server.start()
    port = server.port
    page = browser.new_page()
    page.goto(server.url)
    wait_until(lambda: way_of(page))
    server.close()
    wait_until(lambda: "The stream has ended" in page.locator("#notice").inner_text())
    assert page.locator("#state").inner_text().endswith("Ended")
    wait_until(lambda: page.evaluate("document.getElementById('controls').inert"))
    assert threads_of_servers() == []
    with WebServer(stream, port=port) as again:
        wait_until(lambda: again.channels() != (), seconds=15)
        wait_until(lambda: not page.locator("#notice").is_visible())
        assert not page.evaluate("document.getElementById('controls').inert")
        page.close()


def test_server_that_is_gone_is_said_and_found_again(browser: Any, server: WebServer) -> None:
    page = browser.new_page()
    sockets: list[Any] = []

    def through(socket: Any) -> None:
        socket.connect_to_server()
        sockets.append(socket)

    page.route_web_socket("**/live", through)
    page.goto(server.url)
    wait_until(lambda: (way_of(page) or "").startswith("WebRTC"))
    page.evaluate("document.getElementById('stage').dataset.way = ''")
    sockets[0].close()
    wait_until(lambda: page.locator("#state").inner_text().endswith("Server gone"))
    assert "The server is gone" in page.locator("#notice").inner_text()
    wait_until(lambda: (way_of(page) or "").startswith("WebRTC"))
    assert len(sockets) == 2
    assert not page.locator("#notice").is_visible()
    page.close()
    wait_until(lambda: server.channels() == ())


def test_page_that_is_early_waits_for_the_first_picture(
    browser: Any, pairs: list[FramePair], tmp_path: Path
) -> None:
    stream = MovingStream(pairs, tmp_path)
    page = browser.new_page()
    page.clock.install()
    with WebServer(stream, port=0) as server:
        page.goto(server.url)
        wait_until(lambda: "Waiting for the cameras" in page.locator("#notice").inner_text())
        wait_until(lambda: server.channels() != ())
        for _ in range(3):
            page.clock.fast_forward(5000)
            page.wait_for_timeout(50)
        assert not way_of(page)
        with stream:
            wait_until(lambda: (way_of(page) or "").startswith("WebRTC"))
            wait_until(lambda: not page.locator("#notice").is_visible())
            page.close()


def test_stream_that_ended_is_said(open_page: Callable[..., Page], stream: MovingStream) -> None:
    page = open_page()
    stream.has_ended = True
    wait_until(lambda: "The stream has ended" in page.locator("#notice").inner_text())


def test_page_asks_for_the_token(browser: Any, stream: MovingStream) -> None:
    with WebServer(stream, port=0, token=TOKEN) as server:
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{server.port}/")
        page.get_by_label("Token").fill("wrong-token")
        page.keyboard.press("Enter")
        page.get_by_label("Token").fill(TOKEN)
        page.keyboard.press("Enter")
        page.locator("#stage").wait_for()
        wait_until(lambda: way_of(page))
        assert TOKEN not in page.url
        assert page.evaluate("document.cookie") == ""
        page.reload()
        wait_until(lambda: way_of(page))
        page.close()
        wait_until(lambda: server.channels() == ())


def test_other_page_cannot_use_the_server(
    browser: Any, server: WebServer, stream: MovingStream, tmp_path: Path
) -> None:
    page = browser.new_page()
    other = tmp_path / "evil.html"
    other.write_text("<!DOCTYPE html><title>another page</title>", encoding="utf-8")
    page.goto(other.as_uri())
    assert page.evaluate(FROM_ANOTHER_PAGE, server.url) == ["refused", "refused"]
    # What needs no permission to be sent arrives, and is refused by the server.
    page.evaluate(
        "(address) => fetch(`${address}api/recording`, { method: 'POST', mode: 'no-cors', body: '{}' })"
        ".catch(() => null)",
        server.url,
    )
    assert stream.status().recording is None
    page.close()


def test_keyboard_alone_reaches_everything(open_page: Callable[..., Page], stream: MovingStream) -> None:
    page = open_page()
    page.locator("#alignment").evaluate("(details) => { details.open = true; }")
    wait_until(lambda: page.locator("#save-alignment").is_enabled())
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id"))
        outline = page.evaluate(
            """() => {
                const at = document.activeElement;
                const shown = at.matches(".segments input") ? at.nextElementSibling : at;
                return at === document.body ? "body" : getComputedStyle(shown).outlineStyle;
            }"""
        )
        assert outline in ("solid", "auto", "body")
    assert {
        "transport", "help", "fullscreen", "view-fused", "palette", "snapshot", "record",
        "dx", "dy", "scale", "rotation", "drag-mode", "pick-points", "reset-alignment", "save-alignment",
    } <= reached  # fmt: skip
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("5")
    assert page.locator("#view-blend").is_checked()
    page.keyboard.press(",")
    wait_until(lambda: page.locator("#blend").input_value() == "0.45")
    page.keyboard.press("p")
    assert page.locator("#palette").input_value() == "black-hot"
    page.keyboard.press("s")
    wait_until(lambda: "Saved" in message_of(page))
    page.keyboard.press("r")
    wait_until(lambda: "Recording to" in message_of(page))
    page.keyboard.press("r")
    wait_until(lambda: stream.status().recording is None)
    page.keyboard.press("a")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("+")
    page.keyboard.press("]")
    wait_until(lambda: stream.calibration.adjustment.rotation_deg == pytest.approx(0.2))
    assert stream.calibration.adjustment.scale == pytest.approx(1.005)
    assert stream.calibration.adjustment.offset_px == pytest.approx((10, -1), abs=0.2)
    page.keyboard.press("?")
    assert page.locator("#shortcuts").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#shortcuts").is_visible()


def test_points_can_be_picked_by_keyboard(open_page: Callable[..., Page]) -> None:
    page = open_page()
    page.locator("#alignment").evaluate("(details) => { details.open = true; }")
    wait_until(lambda: page.locator("#pick-points").is_enabled())
    page.locator("#pick-points").focus()
    page.keyboard.press("Enter")
    wait_until(lambda: page.locator("#still-visible img").count() == 1)
    for camera in ("infrared", "visible"):
        page.locator(f"#still-{camera}").focus()
        for key in ("Enter", "Shift+ArrowRight", "Enter"):
            page.keyboard.press(key)
        assert page.locator(f"#count-{camera}").inner_text() == "2"


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_phone_needs_no_sideways_scrolling(open_page: Callable[..., Page], scheme: str) -> None:
    page = open_page(color_scheme=scheme)
    page.set_viewport_size({"width": 390, "height": 844})
    page.locator("#views label", has_text="Blend").click()
    page.locator("#alignment summary").click()
    for wide in ("document.documentElement", "document.body"):
        assert page.evaluate(f"{wide}.scrollWidth") <= 390
    page.locator("#pick-points").click()
    assert page.evaluate("document.querySelector('#points').scrollWidth") <= 390
    text, ground = (
        page.evaluate(f"getComputedStyle(document.body).{name}") for name in ("color", "backgroundColor")
    )
    assert (luma(text) > luma(ground)) == (scheme == "dark")


def luma(colour: str) -> float:
    return sum(map(float, colour.removeprefix("rgb(").removesuffix(")").split(",")))


def test_webrtc_that_fails_falls_back_to_jpegs(browser: Any, server: WebServer) -> None:
    context = browser.new_context()
    context.add_init_script("RTCPeerConnection = class { constructor() { throw new Error('no'); } };")
    page = context.new_page()
    page.goto(server.url)
    wait_until(lambda: way_of(page) == "MJPEG")
    wait_until(lambda: [report.codec.name for report in server.channels()] == ["jpeg"])
    context.close()


def test_browser_without_h264_gets_vp8(browser: Any, server: WebServer, stream: MovingStream) -> None:
    context = browser.new_context()
    context.add_init_script(
        """
        const plain = RTCPeerConnection.prototype.addTransceiver;
        RTCPeerConnection.prototype.addTransceiver = function (...all) {
            const transceiver = plain.apply(this, all);
            const codecs = RTCRtpReceiver.getCapabilities("video").codecs;
            transceiver.setCodecPreferences(codecs.filter((codec) => codec.mimeType === "video/VP8"));
            return transceiver;
        };
        """
    )
    page = context.new_page()
    page.goto(server.url)
    wait_until(lambda: way_of(page) == "WebRTC · VP8")
    hold(stream)
    wait_until(lambda: shows(page, stream, ViewSettings()))
    context.close()
    wait_until(lambda: server.channels() == ())
