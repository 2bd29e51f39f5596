"""Metrics of gray-level differences between neighbours: SF and AG."""

from __future__ import annotations

import numpy as np

from refusion.metrics.planes import Plane, require_side


def spatial_frequency(plane: Plane) -> float:
    """SF: root of the mean squared horizontal plus the mean squared vertical difference, in gray levels.

    Each mean is over the differences that exist: H (W - 1) and (H - 1) W of them.

    Source: Eskicioglu and Fisher, "Image quality measures and their performance", IEEE Transactions on
    Communications 1995.

    Raises:
        InputError: A side is shorter than 2 pixels.
    """
    require_side(plane, 2, "SF")
    signed = plane.astype(np.float32)  # differences of gray levels and their squares are exact in float32
    rows = np.mean(np.square(np.diff(signed, axis=1)), dtype=np.float64)
    columns = np.mean(np.square(np.diff(signed, axis=0)), dtype=np.float64)
    return float(np.sqrt(rows + columns))


def average_gradient(plane: Plane) -> float:
    """AG: mean of sqrt((Gx^2 + Gy^2) / 2), gradients as numpy.gradient, in gray levels a pixel.

    Central differences, one-sided at the borders.

    Source: Cui et al., "Detail preserved fusion of visible and infrared images using regional saliency
    extraction and multi-scale image decomposition", Optics Communications 2015.

    Raises:
        InputError: A side is shorter than 2 pixels.
    """
    require_side(plane, 2, "AG")
    gy, gx = np.gradient(plane.astype(np.float32))
    return float(np.mean(np.sqrt((gx * gx + gy * gy) / 2), dtype=np.float64))
