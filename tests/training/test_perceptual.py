from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.func import jvp

from refusion.metrics.edges import edge_preservation
from refusion.metrics.fidelity import visual_information_fidelity
from refusion.metrics.statistics import sum_of_correlations_of_differences
from refusion.metrics.structure import structural_similarity
from refusion.training.losses import LossFactors, equal_weights, fusion_loss
from refusion.training.perceptual import difference_term, edge_term, information_term, structure_term

SIDE = 64


@pytest.fixture
def planes() -> np.ndarray:
    """Fused, a and b: smooth random textures on ramps, uint8 (3, H, W)."""
    random = np.random.default_rng(3)
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    waves = [
        sum(np.sin(2 * np.pi * (fx * x + fy * y + phase)) / (1 + fx + fy) for fx, fy, phase in frequencies)
        for frequencies in random.uniform(0.3, 6, (3, 8, 3))
    ]
    a, b = (np.clip(120 + 45 * w, 1, 254) for w in waves[:2])
    fused = np.clip(0.6 * a + 0.4 * b + 4 * waves[2], 1, 254)
    return np.stack([fused, a, b]).astype(np.uint8)


def batch(planes: np.ndarray) -> tuple[Tensor, Tensor]:
    x = torch.from_numpy(planes.astype(np.float32) / 255)[None]
    return x[:, :1], x[:, 1:]


def test_structure_term_is_two_minus_ssim(planes: np.ndarray) -> None:
    fused, sources = batch(planes)
    value = structure_term(fused, sources, torch.full_like(sources, 0.5))
    expected = sum(structural_similarity(planes[0], source) for source in planes[1:])
    assert 2 - float(value) == pytest.approx(expected, abs=1e-4)


def test_edge_term_is_one_minus_qabf_with_the_wrap_of_orientations(planes: np.ndarray) -> None:
    # Horizontal edges alone: their orientation is pi/2 off the jump of the metric, which does not wrap.
    ramp = planes[:, :, :1].repeat(SIDE, axis=2)
    frame = np.zeros((3, SIDE + 2, SIDE + 2), np.uint8)
    frame[:, 1:-1, 1:-1] = ramp
    fused, sources = batch(frame)
    value = edge_term(fused, sources, torch.full_like(sources, 0.5))
    assert 0.3 < 1 - float(value) < 0.97
    assert 1 - float(value) >= edge_preservation(*ramp) - 1e-3
    same = edge_term(sources[:, :1], sources[:, :1].expand(-1, 2, -1, -1), torch.full_like(sources, 0.5))
    assert 1 - float(same) == pytest.approx(
        0.9994 * 0.9879 / (1 + np.exp(-7.5)) / (1 + np.exp(-4.4)), abs=2e-3
    )


def test_information_term_is_two_minus_balanced_vif(planes: np.ndarray) -> None:
    fused, sources = batch(planes)
    a, b = (visual_information_fidelity(source, planes[0]) for source in planes[1:])
    expected = 2 * np.sqrt(a * b)
    assert 2 - float(information_term(fused, sources)) == pytest.approx(expected, rel=2e-3)
    # Swapped pairs beside it and a flat pair change nothing: the balance is kept pair by pair.
    flat = torch.full_like(sources, 0.5)
    value = information_term(
        torch.cat((fused, fused, flat[:, :1])), torch.cat((sources, sources.flip(1), flat))
    )
    assert 2 - float(value) == pytest.approx(expected, rel=2e-3)


def test_difference_term_is_two_minus_scd(planes: np.ndarray) -> None:
    fused, sources = batch(planes)
    expected = sum_of_correlations_of_differences(*planes)
    assert 2 - float(difference_term(fused, sources)) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("term", [structure_term, edge_term])
def test_a_source_without_weight_does_not_count(term: object, planes: np.ndarray) -> None:
    fused, sources = batch(planes)
    weights = torch.zeros_like(sources)
    weights[:, 0] = 1
    changed = sources.clone()
    changed[:, 1] = 0.5
    assert float(term(fused, sources, weights)) == float(term(fused, changed, weights))  # type: ignore[operator]


FACTORS = LossFactors(1.0, structure=1.0, edge=1.0, information=1.0, difference=1.0)


@pytest.mark.parametrize("value", [0.0, 1.0, 0.5])
def test_flat_patches_give_finite_gradients(value: float) -> None:
    sources = torch.full((2, 2, 48, 48), value)
    fused = torch.full((2, 1, 48, 48), value, requires_grad=True)
    fusion_loss(fused, sources, equal_weights(sources), FACTORS).backward()
    assert fused.grad is not None
    assert bool(fused.grad.isfinite().all())


def test_the_derivative_along_a_direction_equals_the_gradient(planes: np.ndarray) -> None:
    fused, sources = batch(planes)
    direction = torch.randn(fused.shape, generator=torch.Generator().manual_seed(0))

    def loss(x: Tensor) -> Tensor:
        return fusion_loss(x, sources, equal_weights(sources), FACTORS)

    leaf = fused.clone().requires_grad_()
    loss(leaf).backward()
    assert leaf.grad is not None
    forward = jvp(loss, (fused,), (direction,))[1]
    assert float(forward) == pytest.approx(float((leaf.grad * direction).sum()), rel=1e-3)
