"""Fusion with guided filtering: the strongest of the classical baselines."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]

BASE_WINDOW_PX = 31
SALIENCY_TAPS, SALIENCY_SIGMA = 11, 5.0
# Radius in pixels and regularisation of the weights, for intensities in [0, 1].
BASE_FILTER, DETAIL_FILTER = (45, 0.3), (7, 1e-6)
EPSILON = 1e-12


def guided_filter_fusion(a: Plane, b: Plane) -> Plane:
    """Fuse base and detail layers with weights that follow the edges of their source.

    A source weighs 1 where its saliency, the blurred magnitude of its Laplacian, is the greater one, else 0.
    A guided filter makes these maps smooth where the source is. Weights outside of [0, 1] are cut off, and
    the two divided by their sum, as the authors do.

    Args:
        a: float32 (H, W), gray levels 0 to 255.
        b: Likewise.

    Returns:
        float32 (H, W), gray levels; it may leave 0 to 255.

    Source: Li, Kang and Hu, "Image fusion with guided filtering", IEEE Transactions on Image Processing 2013,
    with the parameters given there.
    """
    sources = (a / np.float32(255), b / np.float32(255))
    prefers_a = (_saliency(sources[0]) >= _saliency(sources[1])).astype(np.float32)
    choices = (prefers_a, 1 - prefers_a)
    bases = [_replicated_mean(source, BASE_WINDOW_PX) for source in sources]
    details = [source - base for source, base in zip(sources, bases, strict=True)]
    fused = np.zeros_like(a)
    for layers, (radius_px, regularisation) in ((bases, BASE_FILTER), (details, DETAIL_FILTER)):
        weights = [
            np.clip(guided_filter(source, choice, radius_px, regularisation), 0, 1) + EPSILON
            for source, choice in zip(sources, choices, strict=True)
        ]
        fused += (weights[0] * layers[0] + weights[1] * layers[1]) / (weights[0] + weights[1])
    return np.asarray(255 * fused, np.float32)


def guided_filter(guide: Plane, plane: Plane, radius_px: int, regularisation: float) -> Plane:
    """Smooth a plane, but not across the edges of the guide.

    Windows are cut off at the borders of the picture.

    Args:
        guide: float32 (H, W), values in [0, 1].
        plane: Likewise.
        radius_px: Windows have 2 radius_px + 1 pixels a side.
        regularisation: Variance of the guide below which a window counts as flat.

    Source: He, Sun and Tang, "Guided image filtering", IEEE Transactions on Pattern Analysis and Machine
    Intelligence 2013.
    """
    # float64: the variance of a flat window is a difference of nearly equal numbers, and 1e-6 must show.
    x, y = guide.astype(np.float64), plane.astype(np.float64)
    pixels = _window_sum(np.ones_like(x), radius_px)

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return _window_sum(values, radius_px) / pixels

    mean_x, mean_y = mean(x), mean(y)
    slope = (mean(x * y) - mean_x * mean_y) / (mean(x * x) - mean_x * mean_x + regularisation)
    start = mean_y - slope * mean_x
    return np.asarray(mean(slope) * x + mean(start), np.float32)


def _saliency(source: Plane) -> Plane:
    edges = np.abs(cv2.Laplacian(source, cv2.CV_32F, borderType=cv2.BORDER_REPLICATE))
    size = (SALIENCY_TAPS, SALIENCY_TAPS)
    blurred = cv2.GaussianBlur(edges, size, SALIENCY_SIGMA, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, np.float32)


def _replicated_mean(plane: Plane, side_px: int) -> Plane:
    means = cv2.blur(plane, (side_px, side_px), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(means, np.float32)


def _window_sum(values: NDArray[np.float64], radius_px: int) -> NDArray[np.float64]:
    size = (2 * radius_px + 1, 2 * radius_px + 1)
    sums = cv2.boxFilter(values, cv2.CV_64F, size, normalize=False, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(sums, np.float64)
