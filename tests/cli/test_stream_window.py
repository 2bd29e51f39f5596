"""`refusion stream --window` on a virtual screen."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

Command = Callable[..., Any]

SCENE = "synthetic:?width=64&height=48&frames=5"


@pytest.fixture
def screen() -> Iterator[str]:
    """Name of a virtual display."""
    if shutil.which("Xvfb") is None:
        pytest.skip("Xvfb is not installed")
    reading, writing = os.pipe()
    with subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", "640x480x24"],
        pass_fds=[writing],
        stderr=subprocess.DEVNULL,
    ) as server:
        os.close(writing)
        try:
            with os.fdopen(reading) as number:
                yield f":{number.readline().strip()}"
        finally:
            server.terminate()


def test_window_shows_the_stream_to_its_end(screen: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "refusion", "stream", "--ir", SCENE, "--visible", SCENE, "--window"],
        env={**os.environ, "DISPLAY": screen},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("5 frames fused")


def test_window_without_a_display(cli: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    outcome = cli("stream", "--ir", SCENE, "--visible", SCENE, "--window")
    assert outcome.status == 1
    assert outcome.error_lines == [
        "error: --window needs a display, and DISPLAY is not set; --serve shows it in a browser instead"
    ]
