"""The classical baselines against what defines them."""

from __future__ import annotations

import numpy as np
import pytest

from refusion.benchmarks.quality.classical import Baseline, average, laplacian_pyramid, maximum
from refusion.benchmarks.quality.guided import guided_filter, guided_filter_fusion


@pytest.fixture
def texture() -> np.ndarray:
    """Noise around middle gray, float32 (48, 64)."""
    return np.random.default_rng(0).normal(128, 30, (48, 64)).astype(np.float32)


def test_average_and_maximum() -> None:
    a, b = np.array([[10, 200]], np.float32), np.array([[13, 100]], np.float32)
    np.testing.assert_array_equal(average(a, b), [[11.5, 150]])
    np.testing.assert_array_equal(maximum(a, b), [[13, 200]])


@pytest.mark.parametrize("baseline", list(Baseline))
def test_two_equal_sources_come_out_as_they_are(baseline: Baseline, texture: np.ndarray) -> None:
    fused = baseline.value.fuse(texture, texture)
    assert fused.dtype == np.float32
    np.testing.assert_allclose(fused, texture, atol=1e-3)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 3), (41, 200)])
@pytest.mark.parametrize("baseline", list(Baseline))
def test_any_size(baseline: Baseline, shape: tuple[int, int]) -> None:
    a, b = np.full(shape, 40, np.float32), np.full(shape, 60, np.float32)
    fused = baseline.value.fuse(a, b)
    assert fused.shape == shape
    assert np.all((fused >= 39.99) & (fused <= 60.01))


@pytest.mark.parametrize("fuse", [laplacian_pyramid, guided_filter_fusion])
def test_detail_is_kept_wherever_it_is(fuse: object, texture: np.ndarray) -> None:
    flat = np.full_like(texture, 100)
    left, right = texture.copy(), texture.copy()
    left[:, 32:] = right[:, :32] = 100
    for a, b in ((texture, flat), (flat, texture), (left, right)):
        fused = fuse(a, b)  # type: ignore[operator]
        inner = np.s_[4:-4, 4:26]
        assert np.corrcoef(fused[inner].ravel(), texture[inner].ravel())[0, 1] > 0.95
        assert fused[inner].std() > 0.85 * texture[inner].std()


def test_a_guided_filter_by_its_definition(texture: np.ndarray) -> None:
    guide, radius, regularisation = texture / 255, 3, 1e-3
    plane = (guide > 0.5).astype(np.float32)
    height, width = guide.shape

    def window(values: np.ndarray, y: int, x: int) -> np.ndarray:
        rows = np.s_[max(0, y - radius) : y + radius + 1]
        return values[rows, max(0, x - radius) : x + radius + 1].astype(np.float64)

    lines = np.empty((2, height, width))
    for y, x in np.ndindex(height, width):
        of_guide, of_plane = window(guide, y, x), window(plane, y, x)
        covariance = np.mean(of_guide * of_plane) - of_guide.mean() * of_plane.mean()
        lines[0, y, x] = covariance / (of_guide.var() + regularisation)
        lines[1, y, x] = of_plane.mean() - lines[0, y, x] * of_guide.mean()
    expected = np.empty_like(guide)
    for y, x in np.ndindex(height, width):
        slope, start = (window(line, y, x).mean() for line in lines)
        expected[y, x] = slope * guide[y, x] + start
    np.testing.assert_allclose(guided_filter(guide, plane, radius, regularisation), expected, atol=1e-6)


def test_a_guided_filter_keeps_an_edge_of_its_guide() -> None:
    step = np.zeros((40, 40), np.float32)
    step[:, 20:] = 1
    kept = guided_filter(step, step, 7, 1e-6)
    blurred = guided_filter(np.full_like(step, 0.5), step, 7, 1e-6)
    assert np.abs(kept - step).max() < 1e-4
    assert np.abs(blurred - step).max() > 0.4
