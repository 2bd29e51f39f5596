"""Metrics of information theory on histograms: EN and MI."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from refusion.metrics.planes import Plane

LEVELS = 256


def entropy(plane: Plane) -> float:
    """EN: entropy of the 256-bin histogram, in bits; 0 for a constant image, 8 at most."""
    p = np.bincount(plane.ravel(), minlength=LEVELS) / plane.size
    p = p[p > 0]
    return float(np.sum(p * np.log2(1 / p)))


def mutual_information(x: Plane, y: Plane) -> float:
    """Mutual information of two planes from their joint 256x256 histogram, in nats; 0 if one is constant.

    MI sums it over the two sources.

    Source: Qu, Zhang and Yan, "Information measure for performance of image fusion", Electronics Letters
    2002.
    """
    pairs = x.ravel().astype(np.intp) * LEVELS + y.ravel()
    joint = np.bincount(pairs, minlength=LEVELS * LEVELS).reshape(LEVELS, LEVELS) / x.size
    product = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    seen: NDArray[np.bool_] = joint > 0
    information = np.sum(joint[seen] * np.log(joint[seen] / product[seen]))
    # It is never negative, but rounding can leave -1e-16 where the planes are independent.
    return max(0.0, float(information))
