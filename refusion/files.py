"""Images on disk: reading whole ones only, matching two folders, writing without ever leaving half a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from refusion.errors import InputError, OutputError, UsageError
from refusion.frames import Frame
from refusion.partial_files import partial_file

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})

PNG_HEAD = b"\x89PNG\r\n\x1a\n"
JPEG_HEAD, JPEG_SCAN, JPEG_END = b"\xff\xd8\xff", b"\xff\xda", b"\xff\xd9"


def read_image(path: Path) -> Frame:
    """Read an 8-bit image, upright as its EXIF orientation says, without its alpha channel.

    Returns:
        uint8, (H, W) if it is stored gray, else (H, W, 3) BGR.

    Raises:
        InputError: There is no such file, or it is truncated, no image, or not of 8 bits.
    """
    return decode_image(_read_bytes(path), str(path))


def decode_image(data: bytes, name: str) -> Frame:
    """Return the 8-bit image that a file's bytes hold, as read_image does.

    Args:
        data: The whole file.
        name: What the file is called in errors.

    Raises:
        InputError: The file is truncated, no image, or not of 8 bits.
    """
    image = _decode_any_depth(data, name)
    if image.dtype != np.uint8:
        raise InputError(f"{name} has {8 * image.itemsize} bits a channel; map its range to 8 bits first")
    return image


def encode_image(image: Frame, suffix: str) -> bytes:
    """Return the file of an image, of the kind that the suffix names (one of IMAGE_SUFFIXES)."""
    _, encoded = cv2.imencode(suffix, image)
    return encoded.tobytes()


def read_raw_image(path: Path) -> Frame | NDArray[np.uint16]:
    """Read an 8-bit image as read_image does, or a gray one of 16 bits: raw thermal.

    Returns:
        uint8 (H, W) or (H, W, 3) BGR, or uint16 (H, W).

    Raises:
        InputError: There is no such file, or it is truncated, no image, or of another kind.
    """
    image = _decode_any_depth(_read_bytes(path), str(path))
    if image.dtype == np.uint8 or (image.dtype == np.uint16 and image.ndim == 2):
        return image
    raise InputError(
        f"{path} has {image.dtype} values and {1 if image.ndim == 2 else image.shape[2]} channels; "
        "frames are uint8 gray or colour, or uint16 gray"
    )


def require_file(path: Path, kind: str) -> None:
    """Raise InputError unless there is such a file; the kind is what the error calls it."""
    try:
        is_there = path.is_file()
    except OSError as error:
        raise InputError(f"{path} cannot be looked up: {error.strerror}") from None
    if not is_there:
        raise InputError(f"there is no {kind} {path}")


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"there is no image {path}") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None


def _decode_any_depth(data: bytes, name: str) -> NDArray[Any]:
    if _is_truncated(data):
        raise InputError(f"{name} is truncated: its end is missing")
    image = _decode(data)
    if image is None:
        raise InputError(f"{name} is not an image, or is damaged")
    return image


def _is_truncated(data: bytes) -> bool:
    """Tell a PNG or JPEG without its end: decoders fill the rest with gray and go on."""
    if data.startswith(PNG_HEAD):
        return not _png_is_whole(data)
    # An embedded thumbnail ends before the picture's own scan begins.
    return data.startswith(JPEG_HEAD) and data.rfind(JPEG_END) < data.rfind(JPEG_SCAN)


def _png_is_whole(data: bytes) -> bool:
    """Tell whether each chunk up to the last, IEND, has the length that it states.

    OpenCV (5.0.0) takes memory for what a chunk states before it reads it: 4 GiB for a file of 60 bytes.
    """
    position = len(PNG_HEAD)
    while position + 8 <= len(data):
        length, kind = int.from_bytes(data[position : position + 4], "big"), data[position + 4 : position + 8]
        position += 12 + length  # with length, kind and checksum
        if kind == b"IEND":
            return position <= len(data)
    return False


def _decode(data: bytes) -> NDArray[Any] | None:
    if not data:
        return None
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH)
        return cast("NDArray[Any] | None", image)
    except cv2.error:
        return None


@contextmanager
def replacing(path: Path, *, force: bool) -> Iterator[Path]:
    """Give a path to write to, beside the target; it takes the target's place when the block ends well.

    What a killed run left there is written over; see `partial_file`.

    Args:
        path: The target.
        force: Whether a file that is there may be replaced.

    Raises:
        OutputError: The target is there, or appears meanwhile, and force is off, or its folder cannot be
            written to.
    """
    refuse_unwritable(path, force=force)
    with _failures_named(path), partial_file(path) as partial:
        yield partial
        refuse_existing(path, force=force)


def refuse_existing(path: Path, *, force: bool) -> None:
    """Raise OutputError if the target is a folder, cannot be looked up, or is there and force is off."""
    with _failures_named(path):
        if path.is_dir():
            raise OutputError(f"{path} cannot be written: it is a folder")
        if path.exists() and not force:
            raise OutputError(f"{path} is there already; give --force to replace it")


@contextmanager
def _failures_named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}") from None


def refuse_unwritable(path: Path, *, force: bool) -> None:
    """Raise OutputError as refuse_existing does, or if the target's folder is missing."""
    refuse_existing(path, force=force)
    if not path.parent.is_dir():
        raise OutputError(f"{path} cannot be written: there is no folder {path.parent}")


def refuse_source(output: str | Path, *sources: str | Path) -> None:
    """Raise UsageError if the output is one of the sources (addresses of cameras may be among them)."""
    if Path(output).resolve() in (Path(source).resolve() for source in sources):
        raise UsageError(f"{output} is a source; write the result elsewhere")


def make_folder(path: Path) -> None:
    """Make the folder and those above it, where they are not there yet.

    Raises:
        OutputError: It cannot be made, for instance because it is a file.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise OutputError(f"{path} cannot be made: it is a file, not a folder") from None
    except OSError as error:
        raise OutputError(f"{path} cannot be made: {error.strerror}") from None


def write_image(path: Path, image: Frame, *, force: bool = False) -> None:
    """Write an image; the target is never half-written.

    Raises:
        OutputError: It is there already and force is off, its suffix is no image's, or writing failed.
    """
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        known = ", ".join(sorted(IMAGE_SUFFIXES))
        raise OutputError(f"{path} cannot be written: the name of an image must end in one of {known}")
    with replacing(path, force=force) as partial:
        partial.write_bytes(encode_image(image, path.suffix))


def images_by_stem(folder: Path) -> dict[str, Path]:
    """Return the images of a folder by their names without suffix, sorted.

    Raises:
        InputError: It is no folder, cannot be read, holds no image, or two that differ in their suffix alone.
    """
    try:
        if not folder.is_dir():
            raise InputError(f"there is no folder {folder}")
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror}") from None
    found: dict[str, Path] = {}
    for path in paths:
        if path.suffix.lower() not in IMAGE_SUFFIXES or path.name.startswith("."):
            continue
        if path.stem in found:
            raise InputError(
                f"{found[path.stem]} and {path} have the same name: which of them belongs to a pair?"
            )
        found[path.stem] = path
    if not found:
        raise InputError(f"there are no images in {folder} (known: {', '.join(sorted(IMAGE_SUFFIXES))})")
    return found


@dataclass(frozen=True)
class Matches:
    """The images of two folders, matched by stem."""

    pairs: tuple[tuple[str, Path, Path], ...]
    """(stem, image in a, image in b)."""
    only_a: tuple[Path, ...]
    only_b: tuple[Path, ...]


def match_by_stem(folder_a: Path, folder_b: Path) -> Matches:
    """Match the images of two folders by their names without suffix.

    Raises:
        InputError: As images_by_stem, or no name is in both.
    """
    a, b = images_by_stem(folder_a), images_by_stem(folder_b)
    matches = Matches(
        tuple((stem, path, b[stem]) for stem, path in a.items() if stem in b),
        tuple(path for stem, path in a.items() if stem not in b),
        tuple(path for stem, path in b.items() if stem not in a),
    )
    if not matches.pairs:
        raise InputError(f"no image of {folder_a} has the name (without suffix) of one in {folder_b}")
    return matches
