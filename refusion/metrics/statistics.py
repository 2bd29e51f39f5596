"""Metrics of gray-level statistics: SD, CC and SCD."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusion.metrics.planes import Plane


def standard_deviation(plane: Plane) -> float:
    """SD: population standard deviation, in gray levels."""
    return float(np.std(plane, dtype=np.float64))


def correlation(x: NDArray[Any], y: NDArray[Any]) -> float:
    """Pearson's r of two planes, -1 to 1; 0 if one of them is constant. CC averages it over the sources."""
    # The mean of integers is exact where they are all equal, so a constant plane gives exactly 0 here.
    dx = x.ravel() - np.mean(x, dtype=np.float64)
    dy = y.ravel() - np.mean(y, dtype=np.float64)
    # Sums, not np.dot: BLAS would start threads for it, which cost more than they save beside other work.
    spread = np.sqrt(np.sum(dx * dx)) * np.sqrt(np.sum(dy * dy))
    return float(np.sum(dx * dy) / spread) if spread > 0 else 0.0


def sum_of_correlations_of_differences(fused: Plane, a: Plane, b: Plane) -> float:
    """SCD: r(F - B, A) + r(F - A, B), -2 to 2: is what the result adds to one source found in the other?

    A copy of one source has SCD 1 at most: its difference to that source is constant, and r is 0.

    Source: Aslantas and Bendes, "A new image quality metric for image fusion: the sum of the correlations of
    differences", AEU - International Journal of Electronics and Communications 2015.
    """
    signed = fused.astype(np.int16)
    return correlation(signed - b, a) + correlation(signed - a, b)
