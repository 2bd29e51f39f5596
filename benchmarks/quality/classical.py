"""The classical baselines: fusion of two gray planes without learning."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from refusion.benchmarks.quality.guided import guided_filter_fusion

Plane = NDArray[np.float32]
"""(H, W), gray levels 0 to 255."""

PYRAMID_LEVELS = 4
"""Bands of detail of the Laplacian pyramid, where the picture is large enough for them."""


def average(a: Plane, b: Plane) -> Plane:
    """Return the mean of both sources."""
    return np.float32(0.5) * (a + b)


def maximum(a: Plane, b: Plane) -> Plane:
    """Return the brighter source at each pixel."""
    return np.maximum(a, b)


def laplacian_pyramid(a: Plane, b: Plane) -> Plane:
    """Fuse band by band: of each detail the stronger one, of the coarse rest the mean.

    Source: Burt and Adelson, "The Laplacian pyramid as a compact image code", IEEE Transactions on
    Communications 1983; choice by magnitude as in Burt, "The pyramid as a structure for efficient
    computation", 1984.
    """
    details_a, rest_a = _pyramid(a)
    details_b, rest_b = _pyramid(b)
    fused = average(rest_a, rest_b)
    for of_a, of_b in zip(reversed(details_a), reversed(details_b), strict=True):
        fused = _expanded(fused, of_a.shape) + np.where(np.abs(of_a) >= np.abs(of_b), of_a, of_b)
    return fused


def _pyramid(plane: Plane) -> tuple[list[Plane], Plane]:
    """Return the details, finest first, and the coarse rest."""
    details: list[Plane] = []
    while len(details) < PYRAMID_LEVELS and min(plane.shape) > 1:
        smaller = np.asarray(cv2.pyrDown(plane), np.float32)
        details.append(plane - _expanded(smaller, plane.shape))
        plane = smaller
    return details, plane


def _expanded(plane: Plane, shape: tuple[int, ...]) -> Plane:
    return np.asarray(cv2.pyrUp(plane, dstsize=(shape[1], shape[0])), np.float32)


@dataclass(frozen=True)
class BaselineFacts:
    """What sets one baseline apart from the others."""

    title: str
    fuse: Callable[[Plane, Plane], Plane]


class Baseline(enum.Enum):
    """A classical method, by its name on the command line."""

    average = BaselineFacts("average", average)
    maximum = BaselineFacts("maximum", maximum)
    laplacian = BaselineFacts("Laplacian pyramid", laplacian_pyramid)
    guided = BaselineFacts("guided filter", guided_filter_fusion)
