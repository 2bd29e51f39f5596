"""Pre- and post-processing in NumPy and OpenCV: the definition that the native code must equal.

Colour follows the official ReFusion script: full-range YCrCb of float images, with luma not rounded.
Arguments are not checked here: `refusion.ops` has done that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from refusion.frames import Frame
from refusion.tasks import Chroma
from refusion.warp import FADE_PX, FadeBox, Warp

_NEUTRAL = np.float32(0.5)
"""Where OpenCV centres Cr and Cb of float images (128 on 8-bit ones: the same picture)."""
_MERGE_EPSILON = np.float32(1e-4)
"""Keeps the merge of two neutral pixels from dividing by zero; the official script's value."""

_ABRUPT = np.float32(1e30)
"""A share by pixel of depth that makes any depth inside a box a whole."""
_END = np.float32(0.75)
"""What a shoulder keeps between values in [0, 1] and black and white, in gray levels: more than half of one,
so that none is rounded to them."""

_BAND_PIXELS = 64 * 1024
"""Images are worked on in bands of rows of this size: the float copies stay in the cache, and the whole takes
a quarter to a half of the time."""


def luma(image: Frame) -> NDArray[np.float32]:
    """Return the BT.601 luma of a gray (H, W) or BGR (H, W, 3) uint8 image, float32 in [0, 255]."""
    plane = image.astype(np.float32, order="C")
    # The Y of OpenCV's YCrCb to the last bit but one, at half the time: two channels fewer to write.
    return plane if image.ndim == 2 else _converted(plane, cv2.COLOR_BGR2GRAY)


def preprocess(a: Frame, b: Frame, out: NDArray[np.float32], warp: Warp | None = None) -> None:
    """Write the luma of both sources / 255 into out, (2, H, W): a's through the warp, faded into b's."""
    for rows in _bands(b):
        np.divide(luma(b[rows]), np.float32(255), out=out[1, rows])
        if warp is None:
            np.divide(luma(a[rows]), np.float32(255), out=out[0, rows])
    if warp is not None:
        _write_faded(luma(a) / np.float32(255), warp, out)


def _write_faded(a: NDArray[np.float32], warp: Warp, out: NDArray[np.float32]) -> None:
    padded = _padded(a)
    for rows in _bands(out[0]):
        places, b = _places(warp, rows), out[1, rows]
        share = _share(places, warp.fade_box, np.float32(1 / FADE_PX))
        out[0, rows] = b + share * (_samples(padded, places) - b)


def warped(image: Frame, warp: Warp, out: NDArray[np.uint8]) -> None:
    """Write the image, sampled at the places of the warp, into out; outside it is black."""
    padded = _padded(image.astype(np.float32))
    width, height = warp.source_size
    whole = FadeBox(-0.5, -0.5, width - 0.5, height - 0.5)
    for rows in _bands(out):
        places = _places(warp, rows)
        is_inside = _share(places, whole, _ABRUPT) > 0
        samples = np.rint(_samples(padded, places))
        out[rows] = np.where(is_inside[..., None] if image.ndim == 3 else is_inside, samples, np.float32(0))


def _padded(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the image with its last row and column twice, so that each pixel has a next one."""
    return np.pad(image, [(0, 1), (0, 1), (0, 0)][: image.ndim], mode="edge")


def _places(warp: Warp, rows: slice) -> NDArray[np.float32]:
    width, height = warp.size
    return warp.places_of(np.arange(width), np.arange(rows.start, min(rows.stop, height)))


def _samples(padded: NDArray[np.float32], places: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sample bilinearly; outside of the image, the border is repeated."""
    height, width, *channels = padded.shape
    # fmax takes 0 where a place is NaN.
    u = np.fmin(np.fmax(places[..., 0], np.float32(0)), np.float32(width - 2))
    v = np.fmin(np.fmax(places[..., 1], np.float32(0)), np.float32(height - 2))
    x, y = np.floor(u), np.floor(v)
    shape = (*u.shape, *(1 for _ in channels))
    right, down = (u - x).reshape(shape), (v - y).reshape(shape)
    first = y.astype(np.intp) * width + x.astype(np.intp)
    pixels = padded.reshape(-1, *channels)
    v00, v10, v01, v11 = (pixels.take(first + offset, 0) for offset in (0, 1, width, width + 1))
    top, bottom = v00 + right * (v10 - v00), v01 + right * (v11 - v01)
    return top + down * (bottom - top)


def _share(places: NDArray[np.float32], box: FadeBox, per_px: np.float32) -> NDArray[np.float32]:
    """Return the source's share at each place, in [0, 1]: its depth inside the box; 0 where it is NaN."""
    u, v = places[..., 0], places[..., 1]
    with np.errstate(over="ignore"):
        across = np.minimum(u - np.float32(box.left), np.float32(box.right) - u)
        down = np.minimum(v - np.float32(box.top), np.float32(box.bottom) - v)
        depth = np.minimum(across, down) * per_px
    return np.minimum(np.fmax(depth, np.float32(0)), np.float32(1))


def is_gray(image: Frame) -> bool:
    """Tell whether the image is 2-D or has three equal channels."""
    if image.ndim == 2:
        return True
    blue, green, red = image[..., 0], image[..., 1], image[..., 2]
    return bool((blue == green).all() and (green == red).all())


def value_range(fused: NDArray[np.float32]) -> tuple[float, float]:
    """Return the least and the greatest finite value, (0, 0) if there is none."""
    low, high = float(fused.min()), float(fused.max())
    if np.isfinite(low) and np.isfinite(high):
        return low, high
    finite = fused[np.isfinite(fused)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


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
    stretch = stretch_between(low, high, shoulder)
    for rows in _bands(fused):
        y = _stretched(fused[rows], stretch)
        picture = y if chroma is Chroma.NONE else _coloured(y, a[rows], b[rows], chroma)
        # OpenCV's saturating conversion clips, and rounds to nearest, ties to even.
        out[rows] = cv2.add(picture, 0, dtype=cv2.CV_8U)  # type: ignore[call-overload]  # a scalar is allowed


def _bands(image: NDArray[Any]) -> Iterator[slice]:
    height, width = image.shape[:2]
    rows = max(1, _BAND_PIXELS // width)
    return (slice(top, top + rows) for top in range(0, height, rows))


class Stretch(NamedTuple):
    """Luma of the result: (fused - low) * scale; but at least black + toe * fused, and at most
    white - shoulder * (1 - fused)."""

    low: np.float32
    scale: np.float32
    black: np.float32
    toe: np.float32
    white: np.float32
    shoulder: np.float32


def stretch_between(low: float, high: float, levels: float) -> Stretch:
    """Return the stretch of a range: low < high become black and white.

    With gray levels (1 or more) for the values beyond the range, low and high become so many less, but no
    more than they had before: the middle is stretched, and nothing beside it. Then no value in [0, 1] becomes
    black or white.
    """
    zero, one, top = np.float32(0), np.float32(1), np.float32(255)
    low32, high32, most = np.float32(low), np.float32(high), np.float32(levels)
    if not levels > 0:
        return Stretch(low32, top / (high32 - low32), zero, zero, top, zero)
    below, above = top * low32, top * (one - high32)
    toe, shoulder = min(most, below), min(most, above)
    scale = (top - toe - shoulder) / (high32 - low32)
    return Stretch(
        low=low32 - toe / scale,
        scale=scale,
        black=_END,
        toe=top * (most - _END) / max(most, below),
        white=top - _END,
        shoulder=top * (most - _END) / max(most, above),
    )


def _stretched(fused: NDArray[np.float32], stretch: Stretch) -> NDArray[np.float32]:
    """Return luma in [0, 255]; NaN becomes 0 (fmax prefers a number to NaN)."""
    with np.errstate(over="ignore", invalid="ignore"):  # infinite values are clipped like any other
        y = fused - stretch.low
        y *= stretch.scale
        if stretch.toe > 0:
            np.fmax(y, stretch.black + stretch.toe * fused, out=y)
        if stretch.shoulder > 0:
            np.fmin(y, stretch.white - stretch.shoulder * (np.float32(1) - fused), out=y)
    np.fmax(y, np.float32(0), out=y)
    np.minimum(y, np.float32(255), out=y)
    return y


def _coloured(y: NDArray[np.float32], a: Frame, b: Frame, chroma: Chroma) -> NDArray[np.float32]:
    ycrcb = _merged_ycrcb(a, b) if chroma is Chroma.BOTH else _ycrcb(a if chroma is Chroma.A else b)
    ycrcb[..., 0] = y
    return _converted(ycrcb, cv2.COLOR_YCrCb2BGR)


def _ycrcb(image: Frame) -> NDArray[np.float32]:
    pixels = image.astype(np.float32, order="C")
    bgr = _converted(pixels, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else pixels
    return _converted(bgr, cv2.COLOR_BGR2YCrCb)


def _converted(image: NDArray[np.float32], code: int) -> NDArray[np.float32]:
    return np.asarray(cv2.cvtColor(image, code), np.float32)


def _merged_ycrcb(a: Frame, b: Frame) -> NDArray[np.float32]:
    """Merge the chroma of both, the more colourful weighing more as in the official script.

    The rule is applied to offsets from neutral: on the values themselves its epsilon would tint gray.
    """
    # Luma goes through it too, to be replaced: NumPy is several times slower on two channels of three.
    offset_a, offset_b = _ycrcb(a), _ycrcb(b)
    offset_a -= _NEUTRAL
    offset_b -= _NEUTRAL
    weight_a, weight_b = np.abs(offset_a), np.abs(offset_b)
    offset_a *= weight_a
    offset_b *= weight_b
    offset_a += offset_b
    weight_a += weight_b
    weight_a += _MERGE_EPSILON
    offset_a /= weight_a
    offset_a += _NEUTRAL
    return offset_a
