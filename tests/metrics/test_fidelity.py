"""VIF against values derived by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from refusion.errors import InputError
from refusion.metrics.fidelity import MIN_SIDE_PX, visual_information_fidelity

NOISE = np.random.default_rng(0).integers(0, 256, (60, 50), dtype=np.uint8)


def test_copy() -> None:
    assert visual_information_fidelity(NOISE, NOISE) == pytest.approx(1.0)


def test_more_contrast_is_more_than_a_copy() -> None:
    assert visual_information_fidelity(NOISE // 2, NOISE // 2 * 2) > 1.2


@pytest.mark.parametrize(
    ("source", "fused"),
    [
        pytest.param(NOISE, np.full_like(NOISE, 90), id="constant result"),
        pytest.param(np.full_like(NOISE, 255), NOISE, id="constant source"),
        pytest.param(np.full_like(NOISE, 255), np.full_like(NOISE, 255), id="both constant"),
        pytest.param(NOISE, 255 - NOISE, id="inverse"),
    ],
)
def test_nothing_kept(source: np.ndarray, fused: np.ndarray) -> None:
    assert visual_information_fidelity(source, fused) == 0.0


def gaussian_variance(taps: int) -> float:
    """Variance of the positions in a Gaussian window of sigma taps / 5, in pixels squared."""
    x = np.arange(taps) - taps // 2
    weights = np.exp(-(x**2) / (2 * (taps / 5) ** 2))
    return float((weights * x**2).sum() / weights.sum())


@pytest.mark.parametrize("gain", [0.25, 0.5, 1.5])
def test_ramp(gain: float) -> None:
    # A ramp has one variance in all windows (slope^2 times the window's), and blurring leaves it a ramp;
    # halving doubles its slope. The result is a ramp without distortion: kept is log(1 + gain^2 var / 2).
    # Windows on 60 px: 44 of 17 taps; 60 -> 52 -> 26: 18 of 9 taps; -> 22 -> 11: 7 of 5; -> 9 -> 5: 3 of 3.
    slope = 4 if gain < 1 else 2
    source = np.tile(np.arange(60) * slope, (60, 1))
    fused = (source * gain).astype(np.uint8)
    kept = available = 0.0
    for scale, (taps, windows) in enumerate([(17, 44), (9, 18), (5, 7), (3, 3)]):
        variance = (slope * 2**scale) ** 2 * gaussian_variance(taps)
        kept += windows**2 * math.log(1 + gain**2 * variance / 2)
        available += windows**2 * math.log(1 + variance / 2)
    assert visual_information_fidelity(source.astype(np.uint8), fused) == pytest.approx(kept / available)
    assert visual_information_fidelity(source.astype(np.uint8).T, fused.T) == pytest.approx(kept / available)


def test_noise_costs_information() -> None:
    noisy = [
        np.clip(NOISE + np.random.default_rng(1).normal(0, sigma, NOISE.shape), 0, 255).astype(np.uint8)
        for sigma in (0, 10, 40, 160)
    ]
    values = [visual_information_fidelity(NOISE, image) for image in noisy]
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.3


def test_smallest_size() -> None:
    smallest = NOISE[:MIN_SIDE_PX, :MIN_SIDE_PX]
    assert visual_information_fidelity(smallest, smallest) == pytest.approx(1.0)
    too_small = smallest[:-1]
    with pytest.raises(InputError, match="VIF needs images of at least 41x41 pixels, this one is 41x40"):
        visual_information_fidelity(too_small, too_small)
