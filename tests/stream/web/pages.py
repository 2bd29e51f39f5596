"""What tests ask of the viewer's page in a browser."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from moving_stream import SIZE, MovingStream

from refusion.frames import Frame
from refusion.stream.rendering import View, ViewSettings, render

from .waiting import wait_until

Page = Any


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
