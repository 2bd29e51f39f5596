"""What every metric takes: gray planes, 8 bits, of one size."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from refusion.errors import InputError
from refusion.frames import Frame, checked_pair, size_text

Plane = NDArray[np.uint8]
"""(H, W) gray, uint8."""

FloatPlane = NDArray[np.float64]


def gray(frame: Frame) -> Plane:
    """Return the BT.601 luma of a frame, rounded; a gray frame is returned as it is.

    OpenCV's 8-bit conversion, which the evaluator of CDDFuse uses too.
    """
    if frame.ndim == 2:
        return frame
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), np.uint8)


def gray_planes(fused: Any, a: Any, b: Any) -> tuple[Plane, Plane, Plane]:
    """Return a result and its two sources as gray planes.

    Raises:
        InputError: One is no frame, or the three differ in size.
    """
    a, b = checked_pair(a, b)
    if not isinstance(fused, np.ndarray) or fused.dtype != np.uint8:
        found = fused.dtype if isinstance(fused, np.ndarray) else type(fused).__name__
        raise InputError(f"the fused image must be a uint8 array (0 to 255), not {found}")
    if fused.ndim not in (2, 3) or fused.shape[2:] not in ((), (3,)):
        raise InputError(f"the fused image must be (H, W) gray or (H, W, 3) BGR, not of shape {fused.shape}")
    if fused.shape[:2] != a.shape[:2]:
        raise InputError(
            f"the fused image is {size_text(fused)}, its sources are {size_text(a)}; "
            "compare images of the same scene at the same size"
        )
    return gray(fused), gray(a), gray(b)


def require_side(plane: NDArray[Any], side_px: int, metric: str) -> None:
    """Check that both sides of a plane have at least side_px pixels.

    Raises:
        InputError: One has fewer.
    """
    if min(plane.shape) < side_px:
        raise InputError(
            f"{metric} needs images of at least {side_px}x{side_px} pixels, this one is {size_text(plane)}"
        )
