"""The viewer's picture, views, recordings and alignment in a real browser."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from moving_stream import SIZE, MovingStream

from refusion.stream.rendering import View, ViewSettings, render
from refusion.stream.web import WebServer
from refusion.thermal import Palette

from .pages import Page, hold, message_of, select, shot_of, shows, way_of
from .waiting import wait_until

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("aiortc", reason="aiortc is not installed")


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
