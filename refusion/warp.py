"""Warp: where each pixel of one view lies in the other, as a lattice of places."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from refusion.errors import InputError

WARP_STEP_PX = 8
"""Distance of the lattice's nodes. Between nodes places are interpolated: with a strong wide-angle lens
(second derivative 0.002 a pixel) that is off by 8 * 8 / 8 * 0.002 = 0.016 pixels."""

FADE_PX = 4
"""Over so many source pixels inside its border a warped source fades out, where nothing lies beyond."""

Places = NDArray[np.float64]
"""(N, 2): x and y of places in an image, pixels; the middle of the first pixel is (0, 0)."""


class FadeBox(NamedTuple):
    """Box in the source, pixels: the source's share of the output is 0 outside, 1 from FADE_PX inside on."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, eq=False)
class Warp:
    """Maps the pixels of an output view to places in a source image; bilinear between its nodes.

    Any smooth map fits: homographies, lens distortion of both cameras, parallax. A source reaches half a
    pixel beyond the middles of its outermost pixels; at places outside of that it shows nothing.
    """

    nodes: NDArray[np.float32]
    """(rows, columns, 2): x and y in the source of the output's pixels (8 * column, 8 * row)."""
    size: tuple[int, int]
    """Width and height of the output view, pixels."""
    source_size: tuple[int, int]
    """Width and height of the source image, pixels."""
    serial: int = field(default_factory=lambda: _next_serial())
    """Differs between any two warps of a process: what devices keep is looked up by it."""

    def __post_init__(self) -> None:
        """Check the shape of the lattice and make it read-only.

        Raises:
            InputError: A size is not positive, or the lattice does not span the output.
        """
        if min(*self.size, *self.source_size) < 1:
            raise InputError(f"a warp's sizes must be positive, not {self.size} and {self.source_size}")
        expected = (*lattice_shape(self.size), 2)
        if self.nodes.shape != expected or self.nodes.dtype != np.float32:
            raise InputError(
                f"the nodes of a warp to {self.size[0]}x{self.size[1]} must be float32 {expected}, "
                f"not {self.nodes.dtype} {self.nodes.shape}"
            )
        object.__setattr__(self, "nodes", np.ascontiguousarray(self.nodes))
        self.nodes.setflags(write=False)

    @classmethod
    def of(
        cls, places: Callable[[Places], Places], *, size: tuple[int, int], source_size: tuple[int, int]
    ) -> Warp:
        """Return the warp of a map.

        Args:
            places: Maps (N, 2) pixels of the output to (N, 2) places in the source; NaN shows nothing there.
            size: Width and height of the output view.
            source_size: Width and height of the source image.
        """
        rows, columns = lattice_shape(size)
        y, x = np.mgrid[0:rows, 0:columns]
        pixels = np.stack([x.ravel(), y.ravel()], axis=1) * float(WARP_STEP_PX)
        nodes = np.asarray(places(pixels), np.float32).reshape(rows, columns, 2)
        return cls(nodes, size, source_size)

    @classmethod
    def of_homography(
        cls, matrix: NDArray[np.float64], *, size: tuple[int, int], source_size: tuple[int, int]
    ) -> Warp:
        """Return the warp of a homography, (3, 3), from pixels (x, y, 1) of the output to the source."""

        def places(pixels: Places) -> Places:
            mapped = np.column_stack([pixels, np.ones(len(pixels))]) @ np.asarray(matrix, np.float64).T
            with np.errstate(divide="ignore", invalid="ignore"):
                return mapped[:, :2] / np.where(mapped[:, 2:] > 0, mapped[:, 2:], np.nan)

        return cls.of(places, size=size, source_size=source_size)

    def places_of(self, x: NDArray[np.integer[Any]], y: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """Return the places of output columns x, (M,), and rows y, (N,), in the source: (N, M, 2).

        Down first, then along, in float32 without fused multiply-adds: all implementations give these bits.
        A node that is not finite makes all places of the cells that it bounds NaN or infinite.
        """
        with np.errstate(invalid="ignore", over="ignore"):
            lines = _between(self.nodes, y, axis=0)
            return _between(lines, x, axis=1)

    @cached_property
    def fade_box(self) -> FadeBox:
        """Where the source fades out: at its border, but not at a side that the output sees nothing beyond.

        Fading hides the seam to what stands in outside. A picture that ends before the source does has none.
        """
        (width, height), (source_width, source_height) = self.size, self.source_size
        x, y = (np.array([*range(0, length, WARP_STEP_PX), length - 1]) for length in (width, height))
        u, v = np.moveaxis(self.places_of(x, y), -1, 0)
        right, bottom = source_width - 0.5, source_height - 0.5

        def out_of_reach(is_beyond: NDArray[np.bool_]) -> float:
            return 0.0 if is_beyond.any() else float(FADE_PX)

        return FadeBox(
            -0.5 - out_of_reach(u < -0.5),
            -0.5 - out_of_reach(v < -0.5),
            right + out_of_reach(u > right),
            bottom + out_of_reach(v > bottom),
        )


def _between(nodes: NDArray[np.float32], at: NDArray[np.integer[Any]], *, axis: int) -> NDArray[np.float32]:
    first = at // WARP_STEP_PX
    before = nodes.take(first, axis)
    after = nodes.take(np.minimum(first + 1, nodes.shape[axis] - 1), axis)
    shape = [-1 if number == axis else 1 for number in range(nodes.ndim)]
    share = (at % WARP_STEP_PX).astype(np.float32).reshape(shape) / np.float32(WARP_STEP_PX)
    return before + share * (after - before)


def lattice_shape(size: tuple[int, int]) -> tuple[int, int]:
    """Return rows and columns of the lattice that spans an output of (width, height)."""
    width, height = size
    return -(-(height - 1) // WARP_STEP_PX) + 1, -(-(width - 1) // WARP_STEP_PX) + 1


_serials = iter(range(1, 1 << 62))


def _next_serial() -> int:
    return next(_serials)
