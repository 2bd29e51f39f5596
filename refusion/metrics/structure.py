"""SSIM: structural similarity of two planes."""

from __future__ import annotations

import cv2
import numpy as np

from refusion.metrics.planes import FloatPlane, Plane, require_side

WINDOW_PX = 7
K1, K2 = 0.01, 0.03


def structural_similarity(x: Plane, y: Plane, *, data_range: float = 255.0) -> float:
    """Mean structural similarity of two planes, -1 to 1; 1 if they are equal.

    7x7 uniform window, unbiased variances, mean over the windows that lie inside the image: what scikit-image
    computes by default. SSIM sums it over the two sources. Two constant planes x and y differ in luminance
    alone: (2xy + C1) / (x^2 + y^2 + C1).

    Source: Wang et al., "Image quality assessment: from error visibility to structural similarity", IEEE
    Transactions on Image Processing 2004.

    Args:
        x: Gray plane.
        y: Gray plane of the same size.
        data_range: The range L that sets the constants C1 = (0.01 L)^2 and C2 = (0.03 L)^2. 255 is right for
            8-bit images; 2 is what old scikit-image guessed, and what many published tables hold.

    Raises:
        InputError: A side is shorter than 7 pixels.
    """
    require_side(x, WINDOW_PX, "SSIM")
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    u, v = x.astype(np.float64), y.astype(np.float64)
    mean_u, mean_v = _window_mean(u), _window_mean(v)
    pixels = WINDOW_PX * WINDOW_PX
    unbiased = pixels / (pixels - 1)
    squares, product = mean_u * mean_u + mean_v * mean_v, mean_u * mean_v
    variances = unbiased * (_window_mean(u * u + v * v) - squares)  # of x plus of y
    covariance = unbiased * (_window_mean(u * v) - product)
    similarity = (2 * product + c1) * (2 * covariance + c2) / ((squares + c1) * (variances + c2))
    return float(np.mean(similarity))


def _window_mean(plane: FloatPlane) -> FloatPlane:
    """Mean of every window that lies inside the plane."""
    reach = WINDOW_PX // 2
    means = cv2.blur(plane, (WINDOW_PX, WINDOW_PX))
    return np.asarray(means[reach:-reach, reach:-reach], np.float64)
