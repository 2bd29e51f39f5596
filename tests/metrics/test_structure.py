"""SSIM against values derived by hand."""

from __future__ import annotations

import numpy as np
import pytest

from refusion.errors import InputError
from refusion.metrics.structure import structural_similarity

NOISE = np.random.default_rng(0).integers(0, 256, (30, 41), dtype=np.uint8)


@pytest.mark.parametrize("data_range", [255.0, 2.0])
def test_identity(data_range: float) -> None:
    assert structural_similarity(NOISE, NOISE, data_range=data_range) == pytest.approx(1.0)


@pytest.mark.parametrize("data_range", [255.0, 2.0])
def test_symmetry(data_range: float) -> None:
    other = np.roll(NOISE, 1, axis=1)
    forward = structural_similarity(NOISE, other, data_range=data_range)
    assert structural_similarity(other, NOISE, data_range=data_range) == pytest.approx(forward)


@pytest.mark.parametrize("data_range", [255.0, 2.0])
def test_constants_differ_in_luminance_alone(data_range: float) -> None:
    c1 = (0.01 * data_range) ** 2
    x, y = np.full((9, 9), 40, np.uint8), np.full((9, 9), 120, np.uint8)
    expected = (2 * 40 * 120 + c1) / (40**2 + 120**2 + c1)
    assert structural_similarity(x, y, data_range=data_range) == pytest.approx(expected)


@pytest.mark.parametrize("data_range", [255.0, 2.0])
def test_one_window(data_range: float) -> None:
    # One pixel of 49 has the level 49, another one in each plane: both means are 1, both mean squares 49, and
    # the mean product is 0. Unbiased, with 49 / 48: variances 49, covariance -49 / 48.
    x, y = np.zeros((7, 7), np.uint8), np.zeros((7, 7), np.uint8)
    x[0, 0] = y[6, 3] = 49
    c2 = (0.03 * data_range) ** 2
    expected = (2 * -49 / 48 + c2) / (49 + 49 + c2)
    assert structural_similarity(x, y, data_range=data_range) == pytest.approx(expected)


def test_windows_are_averaged() -> None:
    # Two windows in a row of eight columns: the columns 0 to 6 are equal, 1 to 7 are the case above.
    x, y = np.zeros((7, 8), np.uint8), np.zeros((7, 8), np.uint8)
    x[2, 7] = 49
    c1, c2 = 2.55**2, 7.65**2
    different = c1 * c2 / ((1 + c1) * (49 + c2))
    assert structural_similarity(x, y) == pytest.approx((1 + different) / 2)


def test_too_small() -> None:
    with pytest.raises(InputError, match="SSIM needs images of at least 7x7 pixels, this one is 20x6"):
        structural_similarity(np.zeros((6, 20), np.uint8), np.zeros((6, 20), np.uint8))
