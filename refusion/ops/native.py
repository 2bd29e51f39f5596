"""Pre- and post-processing in C++ (csrc/): `refusion._C` behind the same functions as `reference`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from refusion import _C
from refusion.frames import Frame
from refusion.tasks import Chroma
from refusion.warp import Warp

_CHROMA = {chroma: getattr(_C.Chroma, chroma.name) for chroma in Chroma}

value_range = _C.value_range
is_gray = _C.is_gray


def preprocess(a: Frame, b: Frame, out: NDArray[np.float32], warp: Warp | None = None) -> None:
    """Write the luma of both sources / 255 into out, (2, H, W): a's through the warp, faded into b's."""
    _C.preprocess(a, b, out, None if warp is None else warp.nodes)


def warped(image: Frame, warp: Warp, out: NDArray[np.uint8]) -> None:
    """Write the image, sampled at the places of the warp, into out; outside it is black."""
    _C.warp_image(image, warp.nodes, out)


def postprocess(
    fused: NDArray[np.float32],
    a: Frame,
    b: Frame,
    chroma: Chroma,
    low: float,
    high: float,
    out: NDArray[np.uint8],
    shoulder: float = 0.0,
) -> None:
    """Write the finished picture into out; low < high are finite float32 values."""
    _C.postprocess(fused, a, b, _CHROMA[chroma], low, high, out, shoulder)
