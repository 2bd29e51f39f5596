"""What video files say of themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from refusion.stream.containers import declared_size, noted_size, size_note


@pytest.mark.parametrize("size", [(641, 481), (640, 481), (641, 480)])
def test_size_note_round_trip(size: tuple[int, int]) -> None:
    assert noted_size(size_note(size), coded=(size[0] + size[0] % 2, size[1] + size[1] % 2)) == size


@pytest.mark.parametrize("comment", ["", "refusion frame size 640x", "holiday", "refusion frame size 99x99"])
def test_foreign_comment_is_no_size(comment: str) -> None:
    assert noted_size(comment, coded=(640, 480)) is None


@pytest.mark.parametrize(
    ("content", "size"),
    [
        (b"", 0),
        (b"any other bytes", 0),
        (b"\x00\x00\x00\x10ftypisom\x00\x00\x00\x00" + b"\x00\x00\x01\x00mdat", 16 + 256),
        (
            b"\x00\x00\x00\x10ftypisom\x00\x00\x00\x00" + b"\x00\x00\x00\x01mdat" + (500).to_bytes(8, "big"),
            16 + 500,
        ),
        (b"\x00\x00\x00\x10ftypisom\x00\x00\x00\x00" + b"\x00\x00\x00\x00mdat", 24),
        (b"RIFF\x00\x01\x00\x00AVI ", 8 + 256),
        (b"RIFF\x00\x01\x00\x00WAVE", 0),
        (b"\x1a\x45\xdf\xa3\x80" + b"\x18\x53\x80\x67\x41\x00", 11 + 256),
        (b"\x1a\x45\xdf\xa3\x80" + b"\x18\x53\x80\x67\x01" + b"\xff" * 7, 0),
        (b"\x1a\x45\xdf\xa3", 0),
    ],
    ids=[
        "empty",
        "other",
        "box",
        "large-box",
        "open-box",
        "avi",
        "wave",
        "matroska",
        "live-matroska",
        "cut-header",
    ],
)
def test_declared_size(tmp_path: Path, content: bytes, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert declared_size(path) == size
