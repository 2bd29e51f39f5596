from __future__ import annotations

import pytest
import torch

from refusion.models.proposal import LossWeights
from refusion.training.losses import (
    LossFactors,
    equal_weights,
    fusion_loss,
    maximum_weights,
    reconstruction_loss,
    sobel_magnitude,
)


def test_sobel_magnitude_of_a_step_and_at_the_zero_border() -> None:
    x = torch.zeros(1, 1, 5, 6)
    x[..., 3:] = 1
    magnitude = sobel_magnitude(x)[0, 0]
    assert magnitude[2].tolist() == [0, 0, 4, 4, 0, 4]
    # The corner sees one row and one column of ones less: |gx| = 3, |gy| = 3.
    assert magnitude[0, 5] == 6


def test_fusion_loss_by_hand() -> None:
    sources = torch.stack((torch.full((1, 2, 2), 0.8), torch.full((1, 2, 2), 0.2)), dim=1)
    fused = torch.full((1, 1, 2, 2), 0.5)
    half = torch.full((1, 2, 2, 2), 0.5)
    intensity = 2 * (0.5 * 0.3) ** 2
    assert float(fusion_loss(fused, sources, LossWeights(half, half), LossFactors(0.0))) == pytest.approx(
        intensity
    )
    # A constant 2x2 image has |gx| = |gy| = 3 times its value at every pixel, from the zero border; the
    # gradient magnitude of a source is 6 times its value, so the difference to the fused one is 6 * 0.3.
    gradient = 2 * (0.5 * 6 * 0.3) ** 2
    value = float(fusion_loss(fused, sources, LossWeights(half, half), LossFactors(0.7)))
    assert value == pytest.approx(intensity + 0.7 * gradient, rel=1e-5)


def test_fusion_loss_is_zero_only_for_the_weighted_source() -> None:
    torch.manual_seed(0)
    sources = torch.rand(1, 2, 6, 6)
    ones, zeros = torch.ones(1, 1, 6, 6), torch.zeros(1, 1, 6, 6)
    first = torch.cat((ones, zeros), dim=1)
    weights = LossWeights(first, first)
    assert float(fusion_loss(sources[:, :1], sources, weights, LossFactors(1.0))) == 0
    assert float(fusion_loss(sources[:, 1:], sources, weights, LossFactors(1.0))) > 0.01


def test_reconstruction_loss_counts_the_worse_source() -> None:
    sources = torch.full((1, 2, 3, 3), 0.5)
    returned = sources.clone()
    returned[:, 0, 1, 1] += 0.3
    once = float(reconstruction_loss(returned, sources))
    assert once > 0.3**2 / 9
    returned[:, 1, 1, 1] -= 0.3
    assert float(reconstruction_loss(returned, sources)) == pytest.approx(once)
    returned[:, 1, 1, 1] = 0.5 + 0.4
    assert float(reconstruction_loss(returned, sources)) > once


def test_maximum_weights_make_the_loss_of_the_larger_source() -> None:
    generator = torch.Generator().manual_seed(0)
    sources, fused = (torch.rand(2, c, 8, 8, generator=generator) for c in (2, 1))
    gradients = sobel_magnitude(sources)
    expected = (sources.amax(1, keepdim=True) - fused).square().mean()
    expected += 0.3 * (gradients.amax(1, keepdim=True) - sobel_magnitude(fused)).square().mean()
    value = fusion_loss(fused, sources, maximum_weights(sources), LossFactors(0.3))
    assert float(value) == pytest.approx(float(expected), rel=1e-5)


def test_equal_weights_are_half() -> None:
    weights = equal_weights(torch.rand(1, 2, 4, 4))
    assert all(float(w.min()) == float(w.max()) == 0.5 for w in weights)
