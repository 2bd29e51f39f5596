"""Images and videos."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

import cv2
import numpy as np

from refusion.files import read_raw_image
from refusion.stream.video import VideoReader, VideoWriter

from .target import Target, file_parser

_SUFFIXES = (".png", ".jpg", ".bmp", ".tif", ".webp")
_MOST_FRAMES = 4


def _images() -> list[bytes]:
    gray = np.arange(96, dtype=np.uint8).reshape(8, 12)
    pictures = [gray, cv2.merge([gray, gray[::-1], 255 - gray])]
    encoded = [cv2.imencode(suffix, picture)[1] for suffix in _SUFFIXES for picture in pictures]
    raw = gray.astype(np.uint16) * 257
    return [picture.tobytes() for picture in (*encoded, *(cv2.imencode(s, raw)[1] for s in (".png", ".tif")))]


def _videos() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video.mp4"
        with VideoWriter(path, rate=25, size=(32, 24)) as writer:
            for level in (40, 200):
                writer.write(np.full((24, 32, 3), level, np.uint8))
        return [path.read_bytes(), b"YUV4MPEG2 W4 H2 F25:1 Ip Cmono\nFRAME\n" + bytes(8)]


def _read_video(path: Path) -> None:
    with VideoReader(path) as video:
        for _ in itertools.islice(video, _MOST_FRAMES):
            assert video.time_ns >= 0


TARGETS = (
    Target("image", file_parser("picture", read_raw_image), _images, ("refusion.files",), is_text=False),
    Target(
        "video",
        file_parser("video", _read_video),
        _videos,
        ("refusion.stream.video", "refusion.stream.containers"),
        is_text=False,
    ),
)
