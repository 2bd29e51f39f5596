"""The losses of ReFusion (IJCV 2024, section 3): fusion loss with learned weights, reconstruction loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from refusion.models.proposal import LossWeights
from refusion.training.perceptual import difference_term, edge_term, information_term, structure_term


class LossFactors(NamedTuple):
    """Factors of the terms of the fusion loss beside the intensity term."""

    gradient: float | Tensor
    """c: rises from 1 / epochs to 1 over the training (IJCV 2024, section 3.3)."""
    structure: float = 0.0
    """Of the SSIM term; this one and those below are no part of the paper, and constant over a run."""
    edge: float = 0.0
    """Of the Qabf term."""
    information: float = 0.0
    """Of the VIF term."""
    difference: float = 0.0
    """Of the SCD term."""


DIFFERENCE_FACTOR, ENERGY_FACTOR = 2.0, 1.0
"""Of the distillation loss: of differences of neighbours, of contrast and detail."""
MIN_ENERGY = 0.5 / 255
"""Below half a gray level there is no contrast."""


def equal_weights(sources: Tensor) -> LossWeights:
    """Weights of 1/2 everywhere: the fixed loss whose optimum is the average of the sources, (N, 2, H, W)."""
    half = torch.full_like(sources, 0.5)
    return LossWeights(half, half)


def maximum_weights(sources: Tensor) -> LossWeights:
    """All weight on the brighter source, and on the one with the larger gradient, of sources (N, 2, H, W).

    The fusion loss is then |I - max(A, B)|^2 + c |gI - max(gA, gB)|^2, the usual fixed loss of the field.
    """

    def larger(x: Tensor) -> Tensor:
        first = (x[:, :1] >= x[:, 1:]).to(x.dtype)
        return torch.cat((first, 1 - first), dim=1)

    return LossWeights(larger(sources), larger(sobel_magnitude(sources)))


WEIGHTINGS: dict[str, Callable[[Tensor], LossWeights]] = {"equal": equal_weights, "maximum": maximum_weights}
"""The fixed losses by name, to compare the learned one with."""


def sobel_magnitude(x: Tensor) -> Tensor:
    """`|sobel_x| + |sobel_y|` of each channel of x, (N, C, H, W), with zero padding."""
    # Made on the device: constants copied from the host would stall it, and cannot be part of a CUDA graph.
    offsets = torch.arange(-1, 2, dtype=x.dtype, device=x.device)
    kernel_x = torch.outer(2 - offsets.abs(), offsets)
    kernels = torch.stack((kernel_x, kernel_x.T)).unsqueeze(1)
    batch, channels, height, width = x.shape
    planes = x.reshape(batch * channels, 1, height, width)
    gradients = F.conv2d(planes, kernels, padding=1)
    return gradients.abs().sum(dim=1).reshape(batch, channels, height, width)


def fusion_loss(fused: Tensor, sources: Tensor, weights: LossWeights, factors: LossFactors) -> Tensor:
    """L_F: distance of the fused image to both sources, in intensity and gradient, weighted per pixel.

    Terms whose factor is 0 are not computed; with the gradient factor alone this is the paper's loss.

    Args:
        fused: (N, 1, H, W) in [0, 1].
        sources: (N, 2, H, W) in [0, 1], source a first.
        weights: The proposed weight maps.
        factors: Factors of the terms.

    Returns:
        A scalar: for each source the mean over pixels, summed over the two.
    """
    intensity = (weights.intensity * (sources - fused)).square()
    gradient = (weights.gradient * (sobel_magnitude(sources) - sobel_magnitude(fused))).square()
    # The mean is over one source's pixels, so the two sources add up.
    loss = 2.0 * (intensity.mean() + factors.gradient * gradient.mean())
    if factors.structure:
        loss = loss + factors.structure * structure_term(fused, sources, weights.intensity)
    if factors.edge:
        loss = loss + factors.edge * edge_term(fused, sources, weights.gradient)
    if factors.information:
        loss = loss + factors.information * information_term(fused, sources)
    if factors.difference:
        loss = loss + factors.difference * difference_term(fused, sources)
    return loss


def distillation_loss(fused: Tensor, taught: Tensor) -> Tensor:
    """Distance of fused images to the teacher's, (N, 1, H, W) each.

    Mean absolute differences alone, even with those of the differences of neighbours, are least where what
    is uncertain is left out: pictures with 5 % less detail (AG) than the teacher's. So how much contrast and
    detail an image has counts by itself, too, as the logarithm of its ratio to the teacher's.
    """
    error = fused - taught
    differences = error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
    ratios = (_energies(fused) - _energies(taught)).abs().mean()
    return error.abs().mean() + DIFFERENCE_FACTOR * differences + ENERGY_FACTOR * ratios


def _energies(x: Tensor) -> Tensor:
    """Logarithms of contrast and detail of each image, (2, N)."""
    contrast = (x - x.mean((1, 2, 3), keepdim=True)).abs().mean((1, 2, 3))
    detail = x.diff(dim=2).abs().mean((1, 2, 3)) + x.diff(dim=3).abs().mean((1, 2, 3))
    return (torch.stack((contrast, detail)) + MIN_ENERGY).log()


def reconstruction_loss(reconstructed: Tensor, sources: Tensor) -> Tensor:
    """L_R: at each pixel the worse of the two sources counts, in intensity and gradient.

    Args:
        reconstructed: Both sources as R gives them back, (N, 2, H, W) in [0, 1].
        sources: The real ones, same shape and order.
    """
    intensity = (sources - reconstructed).abs().amax(dim=1).square().mean()
    difference = sobel_magnitude(sources) - sobel_magnitude(reconstructed)
    return intensity + difference.abs().amax(dim=1).square().mean()
