"""VIF: visual information fidelity in the pixel domain."""

from __future__ import annotations

import cv2
import numpy as np

from refusion.metrics.planes import FloatPlane, Plane, require_side

SCALE_TAPS = (17, 9, 5, 3)
NOISE_VARIANCE = 2.0
EPSILON = 1e-10
MIN_SIDE_PX = 41
"""The shortest side that leaves one 3-tap window on the fourth scale."""


def visual_information_fidelity(source: Plane, fused: Plane) -> float:
    """VIFp of one source: the share of its visual information that the result lets through.

    1 for a copy, above 1 if the result is the source with more contrast, and 0 for a constant source, which
    has no information to keep (the evaluator of CDDFuse has 1 there). VIF sums it over the two sources.

    Four scales with Gaussian windows of 17, 9, 5 and 3 taps (sigma = taps / 5), valid borders, noise variance
    2; blurred and halved before scales 2 to 4; information is summed over the scales before the division.

    Source: Sheikh and Bovik, "Image information and visual quality", IEEE Transactions on Image Processing
    2006; the pixel-domain version is the authors' own.

    Raises:
        InputError: A side is shorter than 41 pixels.
    """
    require_side(source, MIN_SIDE_PX, "VIF")
    # Variances do not depend on the level: around the mean they lose fewer digits, and a constant has just 0.
    x, y = (plane.astype(np.float64) - np.mean(plane, dtype=np.float64) for plane in (source, fused))
    kept = available = 0.0
    for scale, taps in enumerate(SCALE_TAPS):
        if scale > 0:
            x, y = (_blur(plane, taps)[::2, ::2] for plane in (x, y))
        kept_here, available_here = _information(x, y, taps)
        kept += kept_here
        available += available_here
    return kept / available if available > 0 else 0.0


def _information(x: FloatPlane, y: FloatPlane, taps: int) -> tuple[float, float]:
    """Information of x at one scale, in nats: what y keeps of it, and all of it."""
    mean_x, mean_y = _blur(x, taps), _blur(y, taps)
    var_x = np.maximum(_blur(x * x, taps) - mean_x * mean_x, 0)
    var_y = np.maximum(_blur(y * y, taps) - mean_y * mean_y, 0)
    covariance = _blur(x * y, taps) - mean_x * mean_y
    var_x[var_x < EPSILON] = 0

    # y = gain x + distortion. A flat or inverted neighbourhood keeps nothing: gain 0.
    related = (var_x > 0) & (var_y >= EPSILON) & (covariance > 0)
    gain = np.divide(covariance, var_x + EPSILON, out=np.zeros_like(covariance), where=related)
    distortion = np.maximum(var_y - gain * covariance, EPSILON)
    kept = np.log1p(gain * gain * var_x / (distortion + NOISE_VARIANCE))
    available = np.log1p(var_x / NOISE_VARIANCE)
    return float(np.sum(kept)), float(np.sum(available))


def _blur(plane: FloatPlane, taps: int) -> FloatPlane:
    """Gaussian mean of every window of taps x taps that lies inside the plane."""
    kernel = cv2.getGaussianKernel(taps, taps / 5, cv2.CV_64F)
    blurred = cv2.sepFilter2D(plane, cv2.CV_64F, kernel, kernel)
    reach = taps // 2
    return np.asarray(blurred[reach:-reach, reach:-reach], np.float64)
