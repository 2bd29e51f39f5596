"""The viewer's page in a real browser."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from moving_stream import SIZE, MovingStream

from refusion.frames import Frame, FramePair
from refusion.stream.rendering import View, ViewSettings, render
from refusion.stream.web import WebServer
from refusion.thermal import Palette

from .conftest import threads_of_servers, wait_until

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("aiortc", reason="aiortc is not installed")

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

Page = Any


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
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


def way_of(page: Page) -> str | None:
    return page.evaluate("document.getElementById('stage').dataset.way")


def shot_of(page: Page, size: tuple[int, int] = SIZE) -> Frame:
    """Return what the picture shows, at a size."""
    data = page.locator("#stage").screenshot()
    shot = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return cv2.resize(shot, size, interpolation=cv2.INTER_AREA)


def coloured(picture: Frame) -> Frame:
    return cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR) if picture.ndim == 2 else picture


def distances(page: Page, stream: MovingStream, settings: ViewSettings) -> dict[View, float]:
    """Return how far the page's picture is from each view of the stream, mean gray levels."""
    frame = stream.wait(-1, 1.0)
    assert frame is not None
    width = 2 * SIZE[0] if settings.view is View.side else SIZE[0]
    shot = shot_of(page, (width, SIZE[1])).astype(int)
    views = [view for view in View if (view is View.side) == (settings.view is View.side)]
    pictures = {view: render(frame, replace(settings, view=view)) for view in views}
    return {view: float(np.abs(shot - coloured(picture)).mean()) for view, picture in pictures.items()}


def shows(page: Page, stream: MovingStream, settings: ViewSettings) -> bool:
    """Tell whether the page shows a view, and no other."""
    found = distances(page, stream, settings)
    return min(found, key=lambda view: found[view]) is settings.view and found[settings.view] < 5


def hold(stream: MovingStream) -> None:
    """Stop at a frame, so that pictures can be compared with it."""
    wait_until(lambda: stream.wait(-1, 1.0))
    stream.is_held = True
    time.sleep(0.1)


def message_of(page: Page) -> str:
    return page.locator("#message").inner_text()


def select(page: Page, control: str, value: str) -> None:
    page.select_option(control, value)


@pytest.mark.parametrize(("wish", "way"), [("auto", "WebRTC"), ("mjpeg", "MJPEG")])
def test_picture_moves(
    open_page: Callable[..., Page], server: WebServer, stream: MovingStream, wish: str, way: str
) -> None:
    page = open_page()
    select(page, "#transport", wish)
    wait_until(lambda: (way_of(page) or "").startswith(way))
    first = shot_of(page)
    wait_until(lambda: np.abs(shot_of(page).astype(int) - first).mean() > 0.5)
    assert first.mean() > 20
    codecs = {report.codec.name for report in server.channels()}
    assert codecs == ({"jpeg"} if wish == "mjpeg" else {"h264"})
    hold(stream)
    wait_until(lambda: shows(page, stream, ViewSettings()))


def test_every_view_palette_and_blend(open_page: Callable[..., Page], stream: MovingStream) -> None:
    page = open_page()
    hold(stream)
    ironbow = Palette.ironbow
    select(page, "#palette", ironbow.value)
    for view in (View.ir, View.visible, View.side, View.edges, View.blend, View.fused):
        page.locator("#views label", has_text=view.value.title).first.click()
        wait_until(lambda view=view: shows(page, stream, ViewSettings(view, ironbow)))
    page.locator("#views label", has_text="Blend").click()
    for share in (0.1, 0.9):
        page.locator("#blend").fill(str(share))
        wait_until(lambda share=share: shows(page, stream, ViewSettings(View.blend, ironbow, share)))


def test_snapshot_is_what_this_viewer_sees(open_page: Callable[..., Page], stream: MovingStream) -> None:
    page = open_page()
    hold(stream)
    page.keyboard.press("2")
    wait_until(lambda: shows(page, stream, ViewSettings(View.ir)))
    page.locator("#snapshot").click()
    wait_until(lambda: "Saved" in message_of(page))
    (saved,) = stream.folder.glob("*.png")
    assert str(saved) in message_of(page)
    frame = stream.wait(-1, 1.0)
    assert frame is not None
    expected = render(frame, ViewSettings(View.ir))
    np.testing.assert_array_equal(cv2.imread(str(saved)), expected)
    with page.expect_download() as download:
        page.locator("#download").click()
    assert download.value.suggested_filename == saved.name
    assert Path(download.value.path()).read_bytes() == saved.read_bytes()


def test_recording_is_shown_to_all(open_page: Callable[..., Page], stream: MovingStream) -> None:
    first, second = open_page(), open_page()
    first.locator("#record").click()
    for page in (first, second):
        wait_until(lambda page=page: page.locator("#recording").is_visible())
        assert page.locator("#record").get_attribute("aria-pressed") == "true"
    time.sleep(0.3)
    second.locator("#record").click()
    wait_until(lambda: "Recorded" in message_of(second))
    wait_until(lambda: not first.locator("#recording").is_visible())
    video = cv2.VideoCapture(str(stream.folder / "recording.mp4"))
    assert video.read()[0]
    video.release()


def test_failure_is_shown(open_page: Callable[..., Page], stream: MovingStream) -> None:
    page = open_page()
    stream.folder = stream.folder / "gone"
    page.locator("#record").click()
    wait_until(lambda: message_of(page).endswith("gone is not there any more"))


def test_dragging_moves_infrared(open_page: Callable[..., Page], stream: MovingStream) -> None:
    page = open_page()
    page.locator("#alignment summary").click()
    page.keyboard.press("Escape")
    page.locator("#drag-mode").click()
    box = page.locator("#drag").bounding_box()
    per_pixel = SIZE[0] / box["width"]
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y + 30, steps=6)
    page.mouse.up()
    wait_until(lambda: stream.calibration.adjustment.offset_px[0] == pytest.approx(60 * per_pixel, abs=1))
    assert stream.calibration.adjustment.offset_px[1] == pytest.approx(30 * per_pixel, abs=1)
    page.mouse.wheel(0, -300)
    wait_until(lambda: stream.calibration.adjustment.scale > 1.03)
    page.keyboard.down("Shift")
    page.mouse.wheel(0, -300)
    page.keyboard.up("Shift")
    wait_until(lambda: abs(stream.calibration.adjustment.rotation_deg) > 0.5)
    assert page.locator("#alignment-state").inner_text() == "changed, not saved"

    page.locator("#save-alignment").click()
    path = stream.folder / "calibration.yaml"
    wait_until(lambda: f"Saved to {path}" in message_of(page))
    assert path.is_file()
    saved = stream.calibration.adjustment
    page.locator("#dx").fill("-7")
    page.keyboard.press("Enter")
    wait_until(lambda: stream.calibration.adjustment.offset_px[0] == pytest.approx(-7, abs=0.1))
    page.locator("#reset-alignment").click()
    wait_until(lambda: stream.calibration.adjustment == saved)


def test_fields_of_alignment_and_distance(open_page: Callable[..., Page], stream: MovingStream) -> None:
    stream.give_parallax()
    page = open_page()
    page.locator("#alignment summary").click()
    for field, value in (("scale", "110"), ("rotation", "2.5"), ("dy", "4"), ("distance", "7.5")):
        wait_until(lambda field=field: page.locator(f"#{field}").is_visible())
        page.locator(f"#{field}").fill(value)
        page.keyboard.press("Tab")
    wait_until(lambda: stream.calibration.fusion_distance_m == 7.5)
    adjustment = stream.calibration.adjustment
    assert adjustment.scale == pytest.approx(1.1)
    assert adjustment.rotation_deg == pytest.approx(2.5)
    assert adjustment.offset_px[1] == pytest.approx(4, abs=0.1)


def test_alignment_by_points(open_page: Callable[..., Page], stream: MovingStream) -> None:
    page = open_page()
    page.locator("#alignment summary").click()
    page.locator("#pick-points").click()
    wait_until(lambda: page.locator("#still-visible img").count() == 1)
    places = [(0.2, 0.2), (0.8, 0.25), (0.75, 0.8), (0.25, 0.7), (0.5, 0.45)]
    for number, (x, y) in enumerate(places):
        assert page.locator("#points-apply").is_disabled() == (number < 4)
        # What lies at (x, y) in visible lies further right in infrared.
        for camera, shift in (("infrared", 0.1), ("visible", 0.0)):
            still = page.locator(f"#still-{camera}")
            box = still.bounding_box()
            still.click(position={"x": (x + shift) * box["width"], "y": y * box["height"]})
    page.locator("#points-undo").click()
    assert page.locator("#points-apply").is_disabled()
    page.locator("#points-undo").click()
    page.locator("#points-apply").click()
    wait_until(lambda: "Aligned by 4 points" in message_of(page))
    assert not page.locator("#points").is_visible()
    assert stream.calibration.method.name == "points"
    (place,) = stream.calibration.places(np.array([[160.0, 120.0]]))
    assert place == pytest.approx((160 / 2 + 0.1 * 160, 60), abs=1.5)


def test_two_viewers_of_one_view_cost_one_encode(open_page: Callable[..., Page], server: WebServer) -> None:
    first, second = open_page(), open_page()
    (channel,) = server.channels()
    assert (channel.viewers, channel.codec.name) == (2, "h264")
    wait_until(lambda: first.locator("#viewers").inner_text().split() == ["2", "1", "encode"])
    second.keyboard.press("3")
    wait_until(lambda: {report.settings.view for report in server.channels()} == {View.fused, View.visible})
    second.context.close()
    wait_until(lambda: [report.viewers for report in server.channels()] == [1])


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
