"""Folders as recordings, and addresses that name no source."""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from refusion.errors import InputError
from refusion.stream.sources import SourceOptions, open_source
from refusion.stream.sources.addresses import without_password
from refusion.stream.sources.folder import ImageFolder


def write(path: Path, image: np.ndarray) -> None:  # type: ignore[type-arg]
    assert cv2.imwrite(str(path), image)


def read_all(folder: Path, rate_hz: float | None = None) -> list[tuple[int, int]]:
    reader = ImageFolder(folder, rate_hz=rate_hz).open(threading.Event())
    found = []
    while (timed := reader.read()) is not None:
        found.append((int(timed.image[0, 0]), timed.time_ns))
    reader.close()
    return found


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_sixteen_bits_are_kept(tmp_path: Path, suffix: str) -> None:
    write(tmp_path / f"a{suffix}", np.full((3, 4), 54321, np.uint16))
    assert read_all(tmp_path) == [(54321, 0)]


def test_numbers_in_names_sort_by_value(tmp_path: Path) -> None:
    for number in (10, 9, 1, 100):
        write(tmp_path / f"frame{number}.png", np.full((2, 2), number, np.uint8))
    (tmp_path / "notes.txt").write_text("not an image")
    assert read_all(tmp_path, rate_hz=10) == [(1, 0), (9, 10**8), (10, 2 * 10**8), (100, 3 * 10**8)]


@pytest.mark.parametrize(("digits", "unit_ns"), [(13, 10**6), (16, 10**3), (19, 1)])
def test_names_that_are_times_give_times(tmp_path: Path, digits: int, unit_ns: int) -> None:
    first = int("17" + "0" * (digits - 2))
    for value, after in enumerate((0, 7, 50)):
        write(tmp_path / f"{first + after}.png", np.full((2, 2), value, np.uint8))
    assert read_all(tmp_path) == [(0, 0), (1, 7 * unit_ns), (2, 50 * unit_ns)]
    assert ImageFolder(tmp_path).open(threading.Event()).start_ns == first * unit_ns


def test_an_image_of_another_size_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.png", np.zeros((2, 4), np.uint8))
    write(tmp_path / "b.png", np.zeros((3, 4), np.uint8))
    with pytest.raises(InputError, match="b.png is 4x3, the images before it are 4x2"):
        read_all(tmp_path)


def test_sixteen_bit_colour_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.png", np.zeros((2, 4, 3), np.uint16))
    with pytest.raises(InputError, match="a.png has uint16 values and 3 channels"):
        read_all(tmp_path)


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there are no images in"):
        read_all(tmp_path)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("", "the address of a source is empty"),
        ("ftp://user:secret@host/clip", r"'ftp://user:\*\*\*@host/clip' is no source that is known"),
        ("synthetic:?widht=3", "there is no setting 'widht'"),
        ("a" * 5000, "a' cannot be looked up: File name too long"),
        ("9" * 5000, "9' cannot be looked up: File name too long"),
    ],
)
def test_addresses_of_no_source(address: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_source(address, SourceOptions())


def test_one_image_is_no_stream(tmp_path: Path) -> None:
    write(tmp_path / "a.png", np.zeros((2, 4), np.uint8))
    with pytest.raises(InputError, match="a.png is one image; give its folder"):
        open_source(str(tmp_path / "a.png"), SourceOptions())


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://camera/ir", "rtsp://camera/ir"),
        ("rtsp://admin@camera/ir", "rtsp://admin@camera/ir"),
        ("rtsp://admin:pass@camera/ir", "rtsp://admin:***@camera/ir"),
        ("rtsp://admin:p@ss/w:rd@camera/ir", "rtsp://admin:***@camera/ir"),
        ("http://camera/video?user=a&pwd=b&fps=5", "http://camera/video?user=a&pwd=***&fps=5"),
        (
            "gst:rtspsrc location=rtsp://c user-pw=x ! appsink",
            "gst:rtspsrc location=rtsp://c user-pw=*** ! appsink",
        ),
    ],
)
def test_passwords_are_not_shown(address: str, shown: str) -> None:
    assert without_password(address) == shown
