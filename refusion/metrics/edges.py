"""Qabf: how much of the sources' edges, in strength and orientation, the result keeps."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from refusion.metrics.planes import FloatPlane, Plane

# The sigmoids (height, slope, centre) of Xydeas and Petrovic for strength and orientation.
STRENGTH = (0.9994, -15.0, 0.5)
ORIENTATION = (0.9879, -22.0, 0.8)


class _Edges(NamedTuple):
    strength: FloatPlane
    angle: FloatPlane  # (-pi/2, pi/2]


def _edges(plane: Plane) -> _Edges:
    # Zeros around the image, not repeated pixels: the image's frame counts as an edge, as in the evaluator.
    padded = cv2.copyMakeBorder(plane, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    # The evaluator's horizontal axis points left; it matters where an angle is near the jump at pi/2.
    left = -cv2.Sobel(padded, cv2.CV_64F, 1, 0)[1:-1, 1:-1]
    down = cv2.Sobel(padded, cv2.CV_64F, 0, 1)[1:-1, 1:-1]
    slope = np.full_like(left, np.inf)
    np.divide(down, left, out=slope, where=left != 0)
    return _Edges(np.sqrt(left * left + down * down), np.arctan(slope))


def _sigmoid(x: FloatPlane, shape: tuple[float, float, float]) -> FloatPlane:
    height, slope, centre = shape
    return height / (1 + np.exp(slope * (x - centre)))


def _preservation(source: _Edges, fused: _Edges) -> FloatPlane:
    weaker = np.minimum(source.strength, fused.strength)
    stronger = np.maximum(source.strength, fused.strength)
    strength_ratio = np.divide(weaker, stronger, out=np.ones_like(weaker), where=stronger > 0)
    alignment = 1 - np.abs(source.angle - fused.angle) / (np.pi / 2)
    return _sigmoid(strength_ratio, STRENGTH) * _sigmoid(alignment, ORIENTATION)


def edge_preservation(fused: Plane, a: Plane, b: Plane) -> float:
    """Qabf: edge information kept from both sources, 0 to 0.975, weighted by the sources' edge strength.

    0 if neither source has an edge (zeros surround the image, so that only black images have none).

    As in the evaluator of CDDFuse, the difference of two orientations does not wrap around: two nearly equal
    edges count as opposed where one is just before pi/2 and the other just after -pi/2. With the wrap the
    figures are 0.025 to 0.075 higher, and not comparable with published ones. Unlike there, two equal
    strengths have the ratio 1 (the evaluator takes the strength itself, which adds 2e-6).

    Source: Xydeas and Petrovic, "Objective image fusion performance measure", Electronics Letters 2000.
    """
    edges_f, edges_a, edges_b = _edges(fused), _edges(a), _edges(b)
    weight = np.sum(edges_a.strength) + np.sum(edges_b.strength)
    if weight == 0:
        return 0.0
    kept = np.sum(_preservation(edges_a, edges_f) * edges_a.strength)
    kept += np.sum(_preservation(edges_b, edges_f) * edges_b.strength)
    return float(kept / weight)
