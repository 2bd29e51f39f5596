"""What a video file says of itself: its least length, its whole fragments, the true size of odd frames."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

PLAYLISTS = frozenset({"concat", "dash", "hls", "imf", "rtsp", "sdp"})
"""What FFmpeg calls files that name other files, or addresses: whatever a stranger wrote there."""

_EBML, _SEGMENT = 0x1A45DFA3, 0x18538067
_SIZE_NOTE = re.compile(r"refusion frame size (\d+)x(\d+)")


def size_note(size: tuple[int, int]) -> str:
    """Return the note of the true (width, height) that goes into a file whose coded size was made even."""
    return f"refusion frame size {size[0]}x{size[1]}"


def noted_size(comment: str, *, coded: tuple[int, int]) -> tuple[int, int] | None:
    """Return the (width, height) noted in a file's comment, None where there is none or it does not fit."""
    note = _SIZE_NOTE.fullmatch(comment)
    if note is None:
        return None
    width, height = int(note[1]), int(note[2])
    return (width, height) if coded == (width + width % 2, height + height % 2) else None


def local_address(path: Path) -> str:
    """Return how FFmpeg is told of a local file: in a bare name, a protocol would stand before a colon."""
    return f"file:{path}"


def declared_size(path: Path) -> int:
    """Return the least size in bytes that the file's own structure calls for; 0 where it says nothing.

    A file shorter than this is truncated; FFmpeg reads some such files to an early end without an error.
    Knows MP4 and its relatives (ISO/IEC 14496-12, section 4.2: boxes), Matroska and WebM (RFC 8794,
    section 6: EBML elements) and AVI (RIFF).
    """
    with path.open("rb") as file:
        head = file.read(12)
        if head[4:8] == b"ftyp":
            return _boxes_end(file, path.stat().st_size)
        if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
            return 8 + int.from_bytes(head[4:8], "little")
        if int.from_bytes(head[:4], "big") == _EBML:
            return _segment_end(file)
    return 0


def cut_to_whole_fragments(path: Path) -> bool:
    """Cut off the unfinished end of a fragmented MP4 whose writing failed (ISO/IEC 14496-12, section 8.8).

    Returns:
        Whether a fragment is left.
    """
    file_size = path.stat().st_size
    end, follows_moof = 0, False
    with path.open("rb") as file:
        for kind, box_end in _boxes(file, file_size):
            if kind == b"mdat" and follows_moof and box_end <= file_size:
                end = box_end
            follows_moof = kind == b"moof"
    os.truncate(path, end)
    return end > 0


def _boxes_end(file: BinaryIO, file_size: int) -> int:
    """Return where the last top-level box ends."""
    return max((end for _, end in _boxes(file, file_size)), default=0)


def _boxes(file: BinaryIO, file_size: int) -> Iterator[tuple[bytes, int]]:
    """Yield kind and end of each top-level box; a box of size 0 runs to the end of the file."""
    start = 0
    while start < file_size:
        file.seek(start)
        header = file.read(16)
        size = int.from_bytes(header[:4], "big")
        if size == 1:
            size = int.from_bytes(header[8:16], "big")
        start = file_size if size == 0 else start + max(size, 8)
        yield header[4:8], start


def _segment_end(file: BinaryIO) -> int:
    """Return where the segment ends; 0 for one of unknown size, as live recordings have."""
    file.seek(4)
    header_size = _vint(file)
    if header_size is None:
        return 0
    file.seek(header_size, 1)
    if int.from_bytes(file.read(4), "big") != _SEGMENT:
        return 0
    size = _vint(file)
    return 0 if size is None else file.tell() + size


def _vint(file: BinaryIO) -> int | None:
    """Read an EBML variable-length size; None where it is unknown (all ones) or missing."""
    first = file.read(1)
    if not first or first[0] == 0:
        return None
    length = 9 - first[0].bit_length()
    value = int.from_bytes(first + file.read(length - 1), "big")
    unknown = (1 << (7 * length)) - 1
    value &= unknown
    return None if value == unknown else value
