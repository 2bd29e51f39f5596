r"""Makes the picture of the viewer in the README: the real page with the synthetic scene, fused as it runs.

    python docs/scripts/make_screenshots.py -o docs/viewer.png

Needs playwright, Pillow and Chromium. The figures in the picture are those of the machine that made it.
"""

from __future__ import annotations

import argparse
import io
import shutil
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

import refusion
from refusion.errors import BackendError
from refusion.files import replacing
from refusion.stream.web import WebServer

SIZE_PX = (1240, 850)
STEP = 8
"""Of gray levels: the scene's noise would triple the file, and is below it."""


def browser_path() -> str:
    """Return where Chromium is.

    Raises:
        BackendError: It is not on the path.
    """
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    raise BackendError("there is no Chromium on the path")


def screenshot(url: str, *, view: str, scheme: str, after_s: float) -> Image.Image:
    """Return what a browser shows of a viewer some seconds after it was opened."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browser_path(), args=["--no-sandbox", "--disable-gpu"]
        )
        width, height = SIZE_PX
        page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
        page.goto(url)
        page.locator("#views label", has_text=view).click()
        page.wait_for_timeout(1000 * after_s)
        data = page.screenshot()
        browser.close()
    return Image.open(io.BytesIO(data)).convert("RGB")


def main() -> None:
    """Parse the command line and write the picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--source", default="synthetic:?width=320&height=240&rate=10", help="of both cameras")
    parser.add_argument("--view", default="Fused", help="as the page calls it")
    parser.add_argument("--scheme", choices=["dark", "light"], default="dark")
    parser.add_argument("--after", type=float, default=60.0, metavar="SECONDS", help="let the chart fill up")
    parser.add_argument("--output", "-o", type=Path, required=True)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        refusion.open_stream(
            ir=options.source, visible=options.source, realtime=True, recordings=folder
        ) as stream,
        WebServer(stream, port=0) as server,
    ):
        stream.start()
        shown = screenshot(server.url, view=options.view, scheme=options.scheme, after_s=options.after)
    with replacing(options.output, force=True) as partial:
        coarse = shown.point(lambda level: min(255, (level + STEP // 2) // STEP * STEP))
        coarse.save(partial, optimize=True)
    print(f"{options.output}: {options.output.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
