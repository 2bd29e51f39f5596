"""Texts of the command line: addresses of sources, sizes, settings."""

from __future__ import annotations

import functools

from refusion.backends.tensorrt.shapes import ShapeProfile
from refusion.stream.sources import SourceOptions, open_source
from refusion.stream.sources.synthetic import SharedScene
from refusion.stream.synthetic import SyntheticScene

from .target import Target, text_parser

_SCENE = "synthetic:?width=16&height=16"


@functools.cache
def _scene() -> SharedScene:
    return SharedScene(_SCENE)


def _read_address(text: str) -> None:
    open_source(text, SourceOptions(), scene=_scene())


def _read_scene(text: str) -> None:
    # The size is given: drawing takes a second at the usual one.
    SyntheticScene.from_uri(f"{_SCENE}&{text}")


def _read_shape(text: str) -> None:
    ShapeProfile.parse(minimum=text, optimum=text, maximum=text)


TARGETS = (
    Target(
        "address",
        text_parser(_read_address),
        lambda: [
            b"rtsp://user:pass@host:554/path?token=x",
            b"/dev/video2?format=MJPG&size=1280x720&rate=30",
            b"gst:videotestsrc ! videoconvert",
            b"udp://239.0.0.1:5004",
            b"clip.mp4",
            b"0",
        ],
        ("refusion.stream.sources", "urllib.parse"),
    ),
    Target(
        "scene",
        text_parser(_read_scene),
        lambda: [b"seed=3&rate=25&frames=5", b""],
        ("refusion.stream.synthetic.scene", "urllib.parse"),
        longest_bytes=256,
    ),
    Target(
        "shape",
        text_parser(_read_shape),
        lambda: [b"480x640"],
        ("refusion.backends.tensorrt.shapes",),
        longest_bytes=64,
    ),
)
