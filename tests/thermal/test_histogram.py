"""The distribution of counts against values derived by hand."""

from __future__ import annotations

import numpy as np
import pytest

from refusion.thermal.histogram import CountHistogram


def test_quantiles_lie_between_counts() -> None:
    frame = np.array([[100] * 4 + [200] * 4] * 3, np.uint16).T  # no line of one count
    frame[0, 0], frame[4, 0] = 200, 100
    histogram = CountHistogram(frame)
    assert histogram.quantile(0.25) == pytest.approx(100.0)
    assert histogram.quantile(0.5) == pytest.approx(100.5)
    assert histogram.quantile(0.75) == pytest.approx(200.0)
    assert histogram.quantile(1.0) == pytest.approx(200.5)


def test_the_ends_of_the_scale_and_dead_lines_are_left_out() -> None:
    random = np.random.default_rng(0)
    frame = random.integers(1000, 1010, (40, 50), dtype=np.uint16)
    healthy = CountHistogram(frame)
    frame[5] = frame[31] = frame[:, 7] = 30000
    frame[10:15, 10:15], frame[20:25, 20:25] = 0, 65535
    histogram = CountHistogram(frame)
    for share in (0.001, 0.5, 0.999):
        assert histogram.quantile(share) == pytest.approx(healthy.quantile(share), abs=0.5)


@pytest.mark.parametrize("value", [0, 500, 65535])
def test_a_frame_of_one_count_has_that_count(value: int) -> None:
    histogram = CountHistogram(np.full((6, 8), value, np.uint16))
    assert histogram.quantile(0.5) == pytest.approx(value)


def test_the_plateau_curve_of_an_even_distribution_is_straight() -> None:
    frame = np.random.default_rng(0).permutation(np.repeat(np.arange(1000, 2024), 8)).reshape(64, 128)
    curve = CountHistogram(frame.astype(np.uint16)).plateau_curve(999.5, 2023.5)
    np.testing.assert_allclose(curve, np.linspace(0, 1, 257), atol=1e-3)


def test_the_plateau_curve_rises_everywhere_and_at_most_four_times() -> None:
    frame = np.random.default_rng(0).normal(5000, 3, (64, 128)).astype(np.uint16)
    frame[:4] = np.linspace(4000, 6000, 512).reshape(4, 128)
    steps = np.diff(CountHistogram(frame).plateau_curve(4000, 6000)) * 256
    assert steps.min() > 0.5
    assert 3 < steps.max() <= 4
    assert steps.sum() == pytest.approx(256)


def test_the_plateau_curve_of_a_range_without_pixels_is_straight() -> None:
    histogram = CountHistogram(np.full((6, 8), 500, np.uint16))
    np.testing.assert_allclose(histogram.plateau_curve(2000, 3000), np.linspace(0, 1, 257))
