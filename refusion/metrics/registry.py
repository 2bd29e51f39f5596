"""All metrics of a fused pair: what each means, how to read it, and `evaluate`, which computes them."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

from refusion.metrics.edges import edge_preservation
from refusion.metrics.fidelity import visual_information_fidelity
from refusion.metrics.gradients import average_gradient, spatial_frequency
from refusion.metrics.information import entropy, mutual_information
from refusion.metrics.planes import Plane, gray_planes
from refusion.metrics.statistics import (
    correlation,
    standard_deviation,
    sum_of_correlations_of_differences,
)
from refusion.metrics.structure import structural_similarity

FusionMetric = Callable[[Plane, Plane, Plane], float]
"""(fused, a, b) to a number."""


class Direction(enum.Enum):
    """Which way of a metric is better."""

    HIGHER = "higher is better"
    LOWER = "lower is better"
    NONE = "no goal"


@dataclass(frozen=True)
class Metric:
    """A metric, and how to read it."""

    name: str
    meaning: str
    direction: Direction
    reading: str


@dataclass(frozen=True)
class PairMetric(Metric):
    """A metric of one fused image and its two sources."""

    compute: FusionMetric


def _of_fused(metric: Callable[[Plane], float]) -> FusionMetric:
    return lambda fused, a, b: metric(fused)


def _sum(metric: Callable[[Plane, Plane], float]) -> FusionMetric:
    """Sum over the two sources of metric(source, fused)."""
    return lambda fused, a, b: metric(a, fused) + metric(b, fused)


def _mean(metric: Callable[[Plane, Plane], float]) -> FusionMetric:
    total = _sum(metric)
    return lambda fused, a, b: total(fused, a, b) / 2


_CONTRAST = "follows contrast: stretching the image alone raises it"

METRICS = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            PairMetric(
                "EN",
                "entropy of the gray-level histogram, bits",
                Direction.NONE,
                _CONTRAST,
                _of_fused(entropy),
            ),
            PairMetric(
                "SD",
                "standard deviation, gray levels",
                Direction.NONE,
                _CONTRAST,
                _of_fused(standard_deviation),
            ),
            PairMetric(
                "SF",
                "spatial frequency: root mean square difference of neighbours, gray levels",
                Direction.NONE,
                f"{_CONTRAST}, and so does noise",
                _of_fused(spatial_frequency),
            ),
            PairMetric(
                "AG",
                "average gradient, gray levels a pixel",
                Direction.NONE,
                f"{_CONTRAST}, and so does noise",
                _of_fused(average_gradient),
            ),
            PairMetric(
                "MI",
                "mutual information with the sources, nats, summed",
                Direction.HIGHER,
                "rewards copying one source; a copy pays for it in SCD",
                _sum(mutual_information),
            ),
            PairMetric(
                "SCD",
                "sum of the correlations of differences: what each source added",
                Direction.HIGHER,
                "guards the others: a copy of one source has 1 at most",
                sum_of_correlations_of_differences,
            ),
            PairMetric(
                "VIF",
                "visual information fidelity, summed over the sources",
                Direction.HIGHER,
                "counts together with Qabf and SSIM, while SCD holds; alone it rewards copying",
                _sum(visual_information_fidelity),
            ),
            PairMetric(
                "Qabf",
                "edges kept, in strength and orientation",
                Direction.HIGHER,
                "counts together with VIF and SSIM, while SCD holds",
                edge_preservation,
            ),
            PairMetric(
                "SSIM",
                "structural similarity (data range 255), summed over the sources",
                Direction.HIGHER,
                "counts together with VIF and Qabf, while SCD holds; alone it rewards plain averaging",
                _sum(structural_similarity),
            ),
            PairMetric(
                "SSIM2",
                "structural similarity with data range 2, summed over the sources",
                Direction.NONE,
                "for comparison with published tables only: old scikit-image guessed that range",
                _sum(partial(structural_similarity, data_range=2.0)),
            ),
            PairMetric(
                "CC",
                "correlation with the sources, mean",
                Direction.HIGHER,
                "rewards plain averaging",
                _mean(correlation),
            ),
        )
    }
)
"""The metrics of a pair by name, in the order of the usual tables."""

SEQUENCE_METRICS = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            Metric(
                "flicker",
                "mean change of the frame's mean gray level, gray levels a frame",
                Direction.NONE,
                "moving scenes and the sources flicker too: compare with theirs",
            ),
            Metric(
                "excess flicker",
                "flicker of the fused sequence minus the mean of its sources'",
                Direction.LOWER,
                "at most 0.01 is steady; stretching each frame by itself gives 0.03 to 0.13",
            ),
        )
    }
)
"""The metrics of a sequence by name; `refusion.metrics.compare_flicker` gives both."""


def evaluate(fused: Any, a: Any, b: Any) -> dict[str, float]:
    """Compute all metrics of one fused image.

    The definitions are those of the evaluator published with CDDFuse (Zhao et al., CVPR 2023), whose figures
    most papers print. Constant images have correlation 0, MI 0 and VIF 0.

    Args:
        fused: The result, uint8, (H, W) gray or (H, W, 3) BGR; colour is reduced to its BT.601 luma, rounded.
        a: Source a, likewise, of the same size.
        b: Source b, likewise.

    Returns:
        The value of each metric in `METRICS`, by name.

    Raises:
        InputError: An image is none, the sizes differ, or a side is shorter than 41 pixels.
    """
    planes = gray_planes(fused, a, b)
    return {name: metric.compute(*planes) for name, metric in METRICS.items()}
