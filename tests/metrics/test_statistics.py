"""SD, CC and SCD against values derived by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from refusion.metrics.statistics import (
    correlation,
    standard_deviation,
    sum_of_correlations_of_differences,
)

# Two sources of equal variance that are not correlated.
A = np.array([[0, 0, 2, 2]], np.uint8)
B = np.array([[0, 2, 0, 2]], np.uint8)


@pytest.mark.parametrize(
    ("levels", "deviation"),
    [([[4, 4, 4]], 0.0), ([[1, 3]], 1.0), ([[0, 255]], 127.5), ([[0, 0, 0, 4]], math.sqrt(3))],
)
def test_standard_deviation(levels: list[list[int]], deviation: float) -> None:
    assert standard_deviation(np.array(levels, np.uint8)) == pytest.approx(deviation, abs=1e-12)


@pytest.mark.parametrize(
    ("x", "y", "r"),
    [
        ([0, 1, 2], [10, 30, 50], 1.0),
        ([0, 1, 2], [250, 150, 50], -1.0),
        ([0, 0, 1, 1], [0, 1, 0, 1], 0.0),
        # Deviations -1, 0, 1 and 0, -1, 1: 1 / (sqrt 2 sqrt 2)
        ([0, 1, 2], [1, 0, 2], 0.5),
        ([9, 9, 9], [1, 0, 2], 0.0),
        ([9, 9, 9], [9, 9, 9], 0.0),
    ],
)
def test_correlation(x: list[int], y: list[int], r: float) -> None:
    assert correlation(np.array([x], np.uint8), np.array([y], np.uint8)) == pytest.approx(r, abs=1e-12)


@pytest.mark.parametrize(
    ("fused", "scd"),
    [
        # F - B = A and F - A = B.
        pytest.param(A + B, 2.0, id="sum"),
        # F - A = 0, and r(A - B, A) = var A / (sqrt(2 var A) sqrt(var A)).
        pytest.param(A, 1 / math.sqrt(2), id="copy"),
        # Both differences are (A - B) / 2 but for the sign.
        pytest.param((A + B) // 2, math.sqrt(2), id="average"),
        # F - B = -B: 0 with A; F - A = -A: 0 with B.
        pytest.param(np.zeros_like(A), 0.0, id="nothing"),
        # F - B = 4 - A - 2 B: r with A is -var A / (sqrt(5 var A) sqrt(var A)); F - A likewise.
        pytest.param(4 - A - B, -2 / math.sqrt(5), id="inverse"),
    ],
)
def test_scd(fused: np.ndarray, scd: float) -> None:
    assert sum_of_correlations_of_differences(fused, A, B) == pytest.approx(scd, abs=1e-12)
    assert sum_of_correlations_of_differences(fused, B, A) == pytest.approx(scd, abs=1e-12)


def test_scd_of_constants_is_zero() -> None:
    flat = np.full((3, 3), 100, np.uint8)
    assert sum_of_correlations_of_differences(flat, flat, flat) == 0.0
