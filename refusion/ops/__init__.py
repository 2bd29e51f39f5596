"""Pre- and post-processing around the network: luma in, finished picture out.

Both exist twice: in C++ (`refusion._C`) and in NumPy/OpenCV (`refusion.ops.reference`, the definition). They
agree to one gray level. C++ is used where it is installed; the environment variable
REFUSION_OPS=native|numpy forces one of them.
"""

from __future__ import annotations

import functools
import importlib
import os
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from refusion.errors import BackendError, InputError, OutputError, UsageError
from refusion.frames import Frame, checked_frame, checked_pair, checked_source, size_text
from refusion.tasks import Chroma
from refusion.warp import Warp

__all__ = ["implementation", "is_gray", "postprocess", "preprocess", "value_range", "warped"]


class _Operations(Protocol):
    """What `refusion.ops.reference` and `refusion.ops.native` both offer; arguments are checked before."""

    def preprocess(self, a: Frame, b: Frame, out: NDArray[np.float32], warp: Warp | None) -> None: ...

    def warped(self, image: Frame, warp: Warp, out: NDArray[np.uint8]) -> None: ...

    def postprocess(
        self,
        fused: NDArray[np.float32],
        a: Frame,
        b: Frame,
        chroma: Chroma,
        low: float,
        high: float,
        out: NDArray[np.uint8],
        shoulder: float,
    ) -> None: ...

    def value_range(self, fused: NDArray[np.float32]) -> tuple[float, float]: ...

    def is_gray(self, image: Frame) -> bool: ...


@dataclass(frozen=True)
class _Choice:
    operations: _Operations
    text: str


def preprocess(
    a: Frame, b: Frame, *, warp: Warp | None = None, out: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Make the network's input from two sources of one size, or warp the first to the second.

    Where a warp's place is outside of a, b's luma stands in, so that the network sees two equal sources there
    and gives b. No seam shows: over the last 4 pixels of a before such a border the one fades into the other.

    Args:
        a: First source, uint8, gray (H, W) or BGR (H, W, 3). Strides may be any. With a warp, its size is
            the warp's `source_size`.
        b: Second source, likewise. With a warp, its size is the warp's `size`.
        warp: Where each pixel of b lies in a, which is sampled bilinearly; None: a and b are registered.
        out: Array to write to, float32 (2, H, W) of b's size; a new one if None.

    Returns:
        Luma (BT.601) of a and b divided by 255, not rounded: float32 (2, H, W) in [0, 1].

    Raises:
        InputError: A source is no frame, or the sizes do not fit.
        OutputError: `out` does not fit.

    Source:
        The official ReFusion script: the Y of OpenCV's YCrCb conversion of float images.
    """
    a, b = checked_pair(a, b, warp)
    checked_out = _checked_out(out, (2, *b.shape[:2]), np.dtype(np.float32))
    _choice().operations.preprocess(a, b, checked_out, warp)
    return checked_out


def warped(image: Frame, warp: Warp) -> NDArray[np.uint8]:
    """Return an image in the geometry of the warp's output, for people to see; `preprocess` warps itself.

    Args:
        image: uint8, gray (H, W) or BGR (H, W, 3), of the warp's `source_size`. Strides may be any.
        warp: Where each pixel of the output lies in the image.

    Returns:
        uint8, of the warp's `size` and as many channels: bilinear samples, black outside of the image.

    Raises:
        InputError: The image is no frame, or not of the size that the warp is for.
    """
    image = checked_source(image, "image", warp.source_size)
    out = np.empty((*warp.size[::-1], *image.shape[2:]), np.uint8)
    _choice().operations.warped(image, warp, out)
    return out


def postprocess(
    fused: NDArray[np.float32],
    a: Frame,
    b: Frame,
    *,
    chroma: Chroma,
    value_range: tuple[float, float] | None = None,
    shoulder: float = 0.0,
    out: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """Make the finished picture from the network's output and the colour of its sources.

    Args:
        fused: Output of the network, float32 (H, W), nominally in [0, 1]. NaN gives black.
        a: First source, as given to `preprocess`. A gray source has neutral chroma.
        b: Second source, likewise.
        chroma: Where the colour comes from; `Chroma.of` chooses by which sources are gray.
        value_range: (low, high), the values of fused that become black and white. None, or low >= high, or a
            bound that is not finite: no stretch, which is (0, 1).
        shoulder: Gray levels at either end, 1 to 127, that are kept for values in [0, 1] beyond the range:
            they are compressed, not clipped, and none becomes quite black or white. No end gets more levels
            than its values have without stretch. 0: beyond the range all is clipped.
        out: Array to write to; a new one if None. It may be a or b itself, but overlap them no other way.

    Returns:
        uint8: gray (H, W) for `Chroma.NONE`, else BGR (H, W, 3).

    Raises:
        InputError: `fused` is not float32 (H, W), a source is no frame, or sizes differ.
        OutputError: `out` does not fit.
        UsageError: `shoulder` is out of its range.

    Source:
        The official ReFusion script; two colour sources are merged as offsets from neutral chroma, so that
        what is neutral in both stays so.
    """
    a, b = checked_pair(a, b)
    fused = _checked_fused(fused)
    if fused.shape != a.shape[:2]:
        raise InputError(f"fused is {size_text(fused)} but its sources are {size_text(a)}")
    shape = fused.shape if chroma is Chroma.NONE else (*fused.shape, 3)
    checked_out = _checked_out(out, shape, np.dtype(np.uint8))
    if shoulder != 0 and not 1 <= shoulder <= 127:
        raise UsageError(f"shoulder must be 1 to 127 gray levels, or 0 for none, not {shoulder:g}")
    low, high = _usable_range(value_range)
    _choice().operations.postprocess(fused, a, b, chroma, low, high, checked_out, shoulder)
    return checked_out


def value_range(fused: NDArray[np.float32]) -> tuple[float, float]:
    """Return the least and the greatest finite value of float32 (H, W), (0.0, 0.0) if there is none.

    Raises:
        InputError: `fused` is not float32 (H, W).
    """
    return _choice().operations.value_range(_checked_fused(fused))


def is_gray(image: Frame) -> bool:
    """Tell whether a frame is gray: (H, W), or (H, W, 3) with three equal channels.

    Raises:
        InputError: It is no frame.
    """
    return _choice().operations.is_gray(checked_frame(image, "image"))


def implementation() -> str:
    """Return which implementation is in use, and why, in one line.

    Raises:
        BackendError: REFUSION_OPS=native, and the compiled module is missing.
        UsageError: REFUSION_OPS is something else.
    """
    return _choice().text


@functools.cache
def _choice() -> _Choice:
    forced = os.environ.get("REFUSION_OPS", "")
    if forced not in ("", "native", "numpy"):
        raise UsageError(f"REFUSION_OPS must be native or numpy, or not set; it is '{forced}'")
    if forced == "numpy":
        return _Choice(_module("reference"), "NumPy/OpenCV, as REFUSION_OPS=numpy says")
    try:
        native = _module("native")
    except ImportError as error:
        advice = "build it with a C++17 compiler: pip install ."
        if forced == "native":
            raise BackendError(
                f"REFUSION_OPS=native, but the compiled module cannot be loaded ({error}); {advice}, "
                "or unset REFUSION_OPS"
            ) from error
        return _Choice(_module("reference"), f"NumPy/OpenCV, slower than C++: {error}; {advice}")
    reason = "as REFUSION_OPS=native says" if forced else "the compiled module is installed"
    return _Choice(native, f"C++, {reason}")


def _module(name: str) -> Any:
    return importlib.import_module(f"refusion.ops.{name}")


def _usable_range(value_range: tuple[float, float] | None) -> tuple[float, float]:
    if value_range is not None:
        with np.errstate(over="ignore"):  # too large for float32 is not finite, and so not usable
            low, high = np.float32(value_range[0]), np.float32(value_range[1])
        if np.isfinite(low) and np.isfinite(high) and low < high:
            return float(low), float(high)
    return 0.0, 1.0


def _checked_fused(fused: NDArray[np.float32]) -> NDArray[np.float32]:
    if not isinstance(fused, np.ndarray):
        raise InputError(f"fused must be a NumPy array, not {type(fused).__name__}")
    if fused.ndim != 2 or fused.size == 0 or fused.dtype != np.float32:
        raise InputError(f"fused must be float32 (H, W), not {fused.dtype} {fused.shape}")
    return fused


def _checked_out(out: NDArray[Any] | None, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    if out is None:
        return np.empty(shape, dtype)
    if not isinstance(out, np.ndarray):
        raise OutputError(f"out must be a NumPy array, not {type(out).__name__}")
    if out.shape != shape or out.dtype != dtype:
        raise OutputError(f"out must be {dtype} {shape}, not {out.dtype} {out.shape}")
    if not out.flags.writeable:
        raise OutputError("out is read-only")
    return out
