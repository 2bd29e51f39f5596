"""Differentiable forms of four fusion metrics, as optional terms of the fusion loss.

The paper's fusion loss compares single pixels and gradient magnitudes. These terms compare windows: SSIM,
Qabf, VIF and SCD as refusion.metrics defines them, for mini-batches in [0, 1]. With uniform weights each is
1 (2 for sums over both sources) minus the metric, except that VIF is balanced and that statistics which a
flat patch would leave undefined run over the whole mini-batch (of a process). The maps that P proposes weigh
the sources in the local two.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from refusion.metrics.edges import ORIENTATION, STRENGTH
from refusion.metrics.fidelity import NOISE_VARIANCE, SCALE_TAPS
from refusion.metrics.structure import K1, K2, WINDOW_PX

GRAY_LEVELS = 255.0
# Gradients below a hundredth of a gray level have no direction to keep.
MIN_EDGE = 1e-2 / GRAY_LEVELS
MIN_VARIANCE = 1e-7
# In nats over a patch; it only keeps the ratio of a flat patch and its gradient finite.
MIN_INFORMATION = 1e-2


def structure_term(fused: Tensor, sources: Tensor, weights: Tensor) -> Tensor:
    """Weighted loss of structural similarity (SSIM, Wang et al. 2004) to both sources.

    Args:
        fused: (N, 1, H, W) in [0, 1], sides of 7 pixels or more.
        sources: (N, 2, H, W) in [0, 1].
        weights: Intensity weights of the sources, (N, 2, H, W).

    Returns:
        2 minus the SSIM summed over both sources, each window weighted by twice its mean weight.
    """

    def mean(x: Tensor) -> Tensor:
        return F.avg_pool2d(x, WINDOW_PX, stride=1)

    pixels = WINDOW_PX * WINDOW_PX
    unbiased = pixels / (pixels - 1)
    mean_source, mean_fused = mean(sources), mean(fused)
    squares, product = mean_source.square() + mean_fused.square(), mean_source * mean_fused
    variances = unbiased * (mean(sources.square() + fused.square()) - squares)
    covariance = unbiased * (mean(sources * fused) - product)
    similarity = (2 * product + K1**2) * (2 * covariance + K2**2)
    similarity = similarity / ((squares + K1**2) * (variances + K2**2))
    return (4.0 * mean(weights) * (1 - similarity)).mean()


def edge_term(fused: Tensor, sources: Tensor, weights: Tensor) -> Tensor:
    """Weighted loss of edge strength and orientation (Qabf, Xydeas and Petrovic 2000).

    Args:
        fused: (N, 1, H, W) in [0, 1].
        sources: (N, 2, H, W) in [0, 1].
        weights: Gradient weights of the sources, (N, 2, H, W).

    Returns:
        1 minus Qabf over the pixels that have all their neighbours; edges count by strength times weight.
    """
    ax, ay = _sobel(sources)
    fx, fy = _sobel(fused)
    strength_source = (ax.square() + ay.square() + MIN_EDGE**2).sqrt()
    strength_fused = (fx.square() + fy.square() + MIN_EDGE**2).sqrt()
    ratio = torch.minimum(strength_source, strength_fused) / torch.maximum(strength_source, strength_fused)
    across, along = (ax * fy - ay * fx).abs(), (ax * fx + ay * fy).abs()
    agreement = 1 - torch.atan2(across, along + MIN_EDGE**2) / (math.pi / 2)
    kept = _sigmoid(ratio, STRENGTH) * _sigmoid(agreement, ORIENTATION)
    importance = weights[..., 1:-1, 1:-1] * strength_source.detach()
    return 1 - (importance * kept).sum() / importance.sum()


def information_term(fused: Tensor, sources: Tensor) -> Tensor:
    """Loss of visual information (VIFp, Sheikh and Bovik 2006) of both sources.

    The geometric mean of the two, not their sum: the sum is largest for a copy of one source (VIF 1.04
    against 0.7 of good fusions), and training on it ends there. Pairs count by the information they have.

    Args:
        fused: (N, 1, H, W) in [0, 1], sides of 41 pixels or more.
        sources: (N, 2, H, W) in [0, 1].

    Returns:
        2 minus twice the geometric mean of the VIF of both sources.
    """
    noise = NOISE_VARIANCE / GRAY_LEVELS**2
    x, y = sources - 0.5, fused - 0.5  # variances near zero mean lose fewer digits
    kept = available = torch.zeros((), device=fused.device)
    for scale, taps in enumerate(SCALE_TAPS):
        if scale > 0:
            x, y = _blur(x, taps)[..., ::2, ::2], _blur(y, taps)[..., ::2, ::2]
        mean_x, mean_y = _blur(x, taps), _blur(y, taps)
        var_x = (_blur(x.square(), taps) - mean_x.square()).clamp(min=0)
        var_y = (_blur(y.square(), taps) - mean_y.square()).clamp(min=0)
        covariance = _blur(x * y, taps) - mean_x * mean_y
        gain = (covariance / (var_x + MIN_VARIANCE)).clamp(min=0)
        distortion = (var_y - gain * covariance).clamp(min=0)
        kept = kept + torch.log1p(gain.square() * var_x / (distortion + noise)).sum((2, 3))
        available = available + torch.log1p(var_x / noise).sum((2, 3))
    fidelity = (kept + MIN_INFORMATION) / (available + MIN_INFORMATION)
    importance = available.sum(1) + MIN_INFORMATION
    return 2 - 2 * (importance * fidelity.prod(1).sqrt()).sum() / importance.sum()


def difference_term(fused: Tensor, sources: Tensor) -> Tensor:
    """Loss of what each source alone contributed (SCD, Aslantas and Bendes 2015) over a mini-batch.

    Args:
        fused: (N, 1, H, W) in [0, 1].
        sources: (N, 2, H, W) in [0, 1].

    Returns:
        2 minus SCD: correlation of fused - b with a, plus that of fused - a with b.
    """
    difference = fused - sources.flip(1)
    x = difference - difference.mean((0, 2, 3), keepdim=True)
    y = sources - sources.mean((0, 2, 3), keepdim=True)
    energy = (x.square().mean((0, 2, 3)) + MIN_VARIANCE) * (y.square().mean((0, 2, 3)) + MIN_VARIANCE)
    return 2 - ((x * y).mean((0, 2, 3)) / energy.sqrt()).sum()


def _sigmoid(x: Tensor, shape: tuple[float, float, float]) -> Tensor:
    height, slope, centre = shape
    return height * torch.sigmoid(-slope * (x - centre))


def _sobel(x: Tensor) -> tuple[Tensor, Tensor]:
    """Horizontal and vertical Sobel gradients of each channel, where all neighbours exist."""
    rows, columns = x[..., 2:, :] - x[..., :-2, :], x[..., :, 2:] - x[..., :, :-2]
    horizontal = columns[..., :-2, :] + 2 * columns[..., 1:-1, :] + columns[..., 2:, :]
    vertical = rows[..., :, :-2] + 2 * rows[..., :, 1:-1] + rows[..., :, 2:]
    return horizontal, vertical


def _blur(x: Tensor, taps: int) -> Tensor:
    """Gaussian mean (sigma = taps / 5) of every window of taps x taps that lies inside."""
    offsets = torch.arange(taps, device=x.device, dtype=x.dtype) - taps // 2
    kernel = torch.exp(-offsets.square() / (2 * (taps / 5) ** 2))
    kernel = (kernel / kernel.sum()).reshape(1, 1, taps, 1)
    planes = x.flatten(0, 1).unsqueeze(1)
    planes = F.conv2d(F.conv2d(planes, kernel), kernel.transpose(2, 3))
    return planes.reshape(*x.shape[:2], *planes.shape[2:])
