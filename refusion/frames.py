"""Frames and pairs of frames, and their checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from refusion.errors import InputError

if TYPE_CHECKING:
    from refusion.warp import Warp

Frame = NDArray[np.uint8]
"""(H, W) gray or (H, W, 3) BGR, uint8."""


@dataclass(frozen=True)
class FramePair:
    """Two registered views of one scene at one moment."""

    a: Frame
    b: Frame
    time_ns: int = 0
    """Capture time on a monotonic clock, nanoseconds."""


def size_text(frame: NDArray[Any]) -> str:
    """Return the size of a frame as WIDTHxHEIGHT."""
    return f"{frame.shape[1]}x{frame.shape[0]}"


def checked_frame(frame: Any, name: str) -> Frame:
    """Return frame if it is one: uint8, (H, W) or (H, W, 3), at least one pixel. Strides may be any.

    Raises:
        InputError: It is something else; the message says what, and how to convert it.
    """
    if not isinstance(frame, np.ndarray):
        raise InputError(f"source {name} must be a NumPy array, not {type(frame).__name__}")
    if frame.ndim == 3 and frame.shape[2] == 1:
        frame = frame[..., 0]
    if frame.ndim not in (2, 3) or (frame.ndim == 3 and frame.shape[2] != 3):
        raise InputError(f"source {name} must be (H, W) gray or (H, W, 3) BGR, not of shape {frame.shape}")
    if frame.size == 0:
        raise InputError(f"source {name} has no pixels: its shape is {frame.shape}")
    if frame.dtype != np.uint8:
        raise InputError(f"source {name} must be uint8 (0 to 255), not {frame.dtype}{_dtype_advice(frame)}")
    return frame


def _dtype_advice(frame: NDArray[Any]) -> str:
    if frame.dtype.kind == "f":
        bad = int(np.count_nonzero(~np.isfinite(frame)))
        if bad:
            return f"; {bad} of its {frame.size} values are NaN or infinite"
        return "; convert it, for instance np.rint(255 * x).astype(np.uint8) where x is in [0, 1]"
    if frame.dtype == np.uint16:
        return "; map its range to 8 bits first"
    return ""


def checked_pair(a: Any, b: Any, warp: Warp | None = None) -> tuple[Frame, Frame]:
    """Return both frames if they are a pair: of one size, or a of the warp's source and b of its output.

    Raises:
        InputError: One is no frame, or a size does not fit (both are stated).
    """
    if warp is not None:
        return checked_source(a, "a", warp.source_size), checked_source(b, "b", warp.size)
    a, b = checked_frame(a, "a"), checked_frame(b, "b")
    if a.shape[:2] != b.shape[:2]:
        raise InputError(
            f"the sources differ in size: a is {size_text(a)}, b is {size_text(b)}; "
            "register them, or resize one to the other"
        )
    return a, b


def checked_source(frame: Any, name: str, size: tuple[int, int]) -> Frame:
    """Return frame if it is one, of the (width, height) that a warp is for.

    Raises:
        InputError: It is no frame, or of another size (both are stated).
    """
    frame = checked_frame(frame, name)
    width, height = size
    if frame.shape[:2] != (height, width):
        raise InputError(
            f"source {name} is {size_text(frame)}, but the warp is for {width}x{height}: "
            "make a warp for the size of these frames"
        )
    return frame
