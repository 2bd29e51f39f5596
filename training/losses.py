"""The losses of ReFusion (IJCV 2024, section 3): fusion loss with learned weights, reconstruction loss."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from refusion.models.proposal import LossWeights

SOBEL_X = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))


def sobel_magnitude(x: Tensor) -> Tensor:
    """`|sobel_x| + |sobel_y|` of each channel of x, (N, C, H, W), with zero padding."""
    kernel_x = torch.tensor(SOBEL_X, dtype=x.dtype, device=x.device)
    kernels = torch.stack((kernel_x, kernel_x.T)).unsqueeze(1)
    batch, channels, height, width = x.shape
    planes = x.reshape(batch * channels, 1, height, width)
    gradients = F.conv2d(planes, kernels, padding=1)
    return gradients.abs().sum(dim=1).reshape(batch, channels, height, width)


def fusion_loss(fused: Tensor, sources: Tensor, weights: LossWeights, gradient_factor: float) -> Tensor:
    """L_F: distance of the fused image to both sources, in intensity and gradient, weighted per pixel.

    Args:
        fused: (N, 1, H, W) in [0, 1].
        sources: (N, 2, H, W) in [0, 1], source a first.
        weights: The proposed weight maps.
        gradient_factor: The factor c of the gradient terms; it rises over the training.

    Returns:
        A scalar: for each source the mean over pixels, summed over the two.
    """
    intensity = (weights.intensity * (sources - fused)).square()
    gradient = (weights.gradient * (sobel_magnitude(sources) - sobel_magnitude(fused))).square()
    # The mean is over one source's pixels, so the two sources add up.
    return 2.0 * (intensity.mean() + gradient_factor * gradient.mean())


def reconstruction_loss(reconstructed: Tensor, sources: Tensor) -> Tensor:
    """L_R: at each pixel the worse of the two sources counts, in intensity and gradient.

    Args:
        reconstructed: Both sources as R gives them back, (N, 2, H, W) in [0, 1].
        sources: The real ones, same shape and order.
    """
    intensity = (sources - reconstructed).abs().amax(dim=1).square().mean()
    difference = sobel_magnitude(sources) - sobel_magnitude(reconstructed)
    return intensity + difference.abs().amax(dim=1).square().mean()
