"""Y16 frames as drivers hand them out: flattened, in bytes, with telemetry rows; made whole again."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusion.errors import InputError

MAX_TELEMETRY_ROWS = 4
"""FLIR Boson and Lepton 3 add 2 rows, Lepton 2 adds 3."""


def repaired(
    array: NDArray[Any], size: tuple[int, int], *, big_endian: bool = False, telemetry_first: bool = False
) -> NDArray[np.uint16]:
    """Return 16-bit counts as a picture, whatever form the capture library gave them.

    Args:
        array: uint16 of shape (H, W), (H, W, 1), (1, H * W) or (H * W,); or the bytes of these, uint8 of
            shape (H, 2 * W), (H, W, 2), (1, 2 * H * W) or (2 * H * W,). H may include 4 telemetry rows.
        size: (width, height) of the picture, pixels, without telemetry.
        big_endian: Whether the high byte comes first (Lepton over SPI); of a uint16 array, whether it was
            read without swapping. An array whose dtype says big-endian needs no option.
        telemetry_first: Whether telemetry rows come before the picture; they are cut either way.

    Returns:
        uint16 (height, width) in the machine's byte order; shares memory with `array` where it can.

    Raises:
        InputError: The array holds another number of pixels, or is of another type.
    """
    width, height = size
    if not isinstance(array, np.ndarray):
        raise InputError(f"a Y16 frame must be a NumPy array, not {type(array).__name__}")
    found = f"{array.dtype} {array.shape}"
    if array.dtype.kind != "u" or array.dtype.itemsize > 2:
        raise InputError(f"a Y16 frame must be uint16, or uint8 in pairs of bytes, not {found}")
    if array.dtype.itemsize == 1 and array.size == width * height:
        raise InputError(
            f"a Y16 frame of {width}x{height} has {2 * width * height} bytes, found {found}: that is 8 bits "
            "a pixel; ask the camera for Y16, or use the frame as an 8-bit one"
        )
    pixels = _as_pixels(array, big_endian)
    rows, rest = divmod(pixels.size, width)
    is_flat = array.ndim == 1 or array.shape[0] == 1
    if rest or not height <= rows <= height + MAX_TELEMETRY_ROWS or not (is_flat or array.shape[0] == rows):
        raise InputError(
            f"a Y16 frame of {width}x{height} has {width * height} pixels in {height} rows, and at most "
            f"{MAX_TELEMETRY_ROWS} rows of telemetry; found {found}: state the size that the camera sends"
        )
    picture = pixels.reshape(rows, width)
    return picture[rows - height :] if telemetry_first else picture[:height]


def _as_pixels(array: NDArray[Any], big_endian: bool) -> NDArray[np.uint16]:
    """Return the counts in one dimension; an odd byte at the end makes a size that fits nothing."""
    if array.dtype.itemsize == 1:
        flat = np.ascontiguousarray(array).reshape(-1)
        if flat.size % 2:
            return np.empty(0, np.uint16)
        flat = flat.view(">u2" if big_endian else "<u2")
    else:
        flat = np.ascontiguousarray(array).reshape(-1)
        flat = flat.byteswap() if big_endian and flat.dtype.isnative else flat
    return flat.astype(np.uint16, copy=False)
