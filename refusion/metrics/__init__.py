"""Metrics of image fusion, as the evaluator of CDDFuse (CVPR 2023) defines them, and of video flicker."""

from refusion.metrics.folders import PairRecord, evaluate_folders, mean
from refusion.metrics.registry import METRICS, SEQUENCE_METRICS, Direction, Metric, PairMetric, evaluate
from refusion.metrics.video import Flicker, clipped_pixels, compare_flicker, flicker

__all__ = [
    "METRICS",
    "SEQUENCE_METRICS",
    "Direction",
    "Flicker",
    "Metric",
    "PairMetric",
    "PairRecord",
    "clipped_pixels",
    "compare_flicker",
    "evaluate",
    "evaluate_folders",
    "flicker",
    "mean",
]
