"""The distribution of a frame's 16-bit counts, and what gain control reads from it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LEVELS = 1 << 16
_MAX_DEAD_LINES = 4
"""Dead rows and columns come singly: more than this are a scene without noise, such as a test card."""
PLATEAU_BINS = 256
_PLATEAU = 3.0
"""Height of the plateau, in mean bins: what contrast is raised by, beside what is spread evenly."""


class CountHistogram:
    """How many pixels of a frame have each count. Pixels that measure nothing are left out."""

    def __init__(self, frame: NDArray[np.uint16]) -> None:
        """Count the pixels of a frame, uint16 (H, W).

        What stands at either end of the 16 bits is not looked at, nor is a row or column of a single count:
        they are dead, unless the frame has nothing else.
        """
        counts = np.bincount(frame.reshape(-1), minlength=_LEVELS)
        living = counts.copy()
        for line in _dead_lines(frame):
            living[line[0]] -= line.size
        living[[0, -1]] = 0
        # A dead row and a dead column share a pixel, which is taken off twice.
        np.maximum(living, 0, out=living)
        self._below = np.cumsum(living if living.any() else counts)

    def quantile(self, share: float) -> float:
        """Return the count that this share of the pixels, above 0, does not exceed.

        The pixels of a count fill the interval around it: a whole number would jump as noise comes and goes.
        """
        pixels = share * self._below[-1]
        count = int(np.searchsorted(self._below, pixels))
        before = self._below[count - 1] if count else 0.0
        return float(count - 0.5 + (pixels - before) / (self._below[count] - before))

    def plateau_curve(self, low: float, high: float) -> NDArray[np.float64]:
        """Return the transfer curve of plateau equalisation over the counts from low to high.

        The histogram's bins are cut off at a plateau, so that a large even area, such as the sky, does not
        take all gray levels; what was cut off is spread evenly over all bins, so that none goes without. The
        sum of the bins is the curve: it rises at most four times as steeply as a straight line.

        Returns:
            float64 (257,): from 0 to 1, at the ends of 256 bins of equal width.

        Source:
            V. E. Vickers, "Plateau equalization algorithm for real-time display of high-quality infrared
            imagery", Optical Engineering 35(7), 1996. The even spread: S. M. Pizer et al., "Adaptive
            histogram equalization and its variations", CVGIP 39, 1987.
        """
        edges = np.linspace(low, high, PLATEAU_BINS + 1)
        # A pixel of count c fills the interval from c - 1/2 to c + 1/2: fine bins share it.
        below = np.interp(edges - 0.5, np.arange(_LEVELS), self._below)
        bins = np.diff(below)
        total = bins.sum()
        if total <= 0:
            return np.linspace(0, 1, PLATEAU_BINS + 1)
        bins /= total
        clipped = np.minimum(bins, _PLATEAU / PLATEAU_BINS)
        clipped += (1 - clipped.sum()) / PLATEAU_BINS
        return np.concatenate(([0.0], np.cumsum(clipped)))


def _dead_lines(frame: NDArray[np.uint16]) -> list[NDArray[np.uint16]]:
    rows = frame[frame.min(axis=1) == frame.max(axis=1)]
    columns = frame[:, frame.min(axis=0) == frame.max(axis=0)].T
    return [line for lines in (rows, columns) if len(lines) <= _MAX_DEAD_LINES for line in lines]
