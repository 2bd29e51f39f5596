"""The lite network: the fusion module on small pictures, and a guided step back to full resolution.

The guided step is a guided filter (He et al., "Guided Image Filtering", TPAMI 2013) with two guides: in each
window of the small pictures the fused luma is fitted by `c + x a + y b` (ridge regression), and the
coefficients, averaged over the windows of a pixel and enlarged, are applied to the sources as they are.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from refusion.models.blocks import widened
from refusion.models.fusion import FusionModule

STRIDE_PX = 4
"""Pixels of a source, along each axis, that one pixel of the small pictures stands for."""
RADIUS = 5
"""Windows of the guided step have 2 * RADIUS + 1 small pixels a side."""
RIDGE = 1e-4
"""What the variance of a source in a window is compared with: a source that varies less counts half."""
DETAIL = 0.13
"""Gain of what a small blur takes away: the fit weighs detail too low, as small pictures have less of it.

Not learned: losses of single pixels would have it smaller, and fused pictures with less detail.
"""
MID_GRAY = 0.5


class LiteModule(nn.Module):
    """The fusion module at 1/16 of the pixels, and the guided step: about 1/15 of its arithmetic."""

    def __init__(self) -> None:
        super().__init__()
        self.fusion = FusionModule()

    @classmethod
    def of(cls, fusion: FusionModule) -> LiteModule:
        """Return the lite network with the full one's weights, which it copies."""
        module = cls()
        module.fusion.load_state_dict(fusion.state_dict())
        return module.eval()

    def forward(self, sources: Tensor) -> Tensor:
        """Fuse two luma images.

        Args:
            sources: Both sources along the channels, (N, 2, H, W), values in [0, 1]; source a first.

        Returns:
            The fused luma, (N, 1, H, W), values in [0, 1].
        """
        return self.unclamped(sources).clamp(0, 1)

    def unclamped(self, sources: Tensor) -> Tensor:
        """Return what `forward` clamps: training needs the gradients of pixels that are out of range."""
        height, width = sources.shape[2:]
        small = F.avg_pool2d(_padded(sources), STRIDE_PX)
        coefficients = F.interpolate(
            guided_coefficients(small, self.fusion(small)),
            scale_factor=STRIDE_PX,
            mode="bilinear",
            align_corners=False,
        )[:, :, :height, :width]
        fused = coefficients[:, :1] + (coefficients[:, 1:] * sources).sum(dim=1, keepdim=True)
        return fused + DETAIL * (fused - _blurred(fused))


def guided_coefficients(sources: Tensor, fused: Tensor) -> Tensor:
    """Fit fused by the sources in the windows around each pixel.

    Args:
        sources: (N, 2, h, w).
        fused: (N, 1, h, w).

    Returns:
        (N, 3, h, w): what does not depend on the sources, and the factor of each source.
    """
    # Around mid gray: variances are differences of means of squares, which are the more exact the smaller.
    a, b = (widened(sources) - MID_GRAY).split(1, dim=1)
    fused = widened(fused) - MID_GRAY
    means = _window_means(torch.cat((a, b, fused, a * a, a * b, b * b, a * fused, b * fused), dim=1))
    a_mean, b_mean, fused_mean, aa, ab, bb, af, bf = means.split(1, dim=1)
    aa = aa - a_mean * a_mean + RIDGE
    bb = bb - b_mean * b_mean + RIDGE
    ab = ab - a_mean * b_mean
    af = af - a_mean * fused_mean + RIDGE / 2
    bf = bf - b_mean * fused_mean + RIDGE / 2
    determinant = aa * bb - ab * ab
    of_a = (af * bb - bf * ab) / determinant
    of_b = (bf * aa - af * ab) / determinant
    rest = fused_mean - of_a * a_mean - of_b * b_mean + MID_GRAY * (1 - of_a - of_b)
    return _window_means(torch.cat((rest, of_a, of_b), dim=1))


def _window_means(x: Tensor) -> Tensor:
    """Return the mean over the part of each pixel's window that is inside the picture."""
    side = 2 * RADIUS + 1
    return F.avg_pool2d(x, side, stride=1, padding=RADIUS, count_include_pad=False)


def _blurred(x: Tensor) -> Tensor:
    """Return x, (N, 1, H, W), weighted 1 2 1 along each axis, edges repeated."""
    kernel = x.new_tensor([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]) / 16
    return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), kernel[None, None])


def _padded(sources: Tensor) -> Tensor:
    """Return sources with their last row and column repeated up to whole small pixels."""
    height, width = sources.shape[2:]
    # Not `-size % STRIDE_PX`: TensorRT's remainder may be negative, and then it refuses dynamic sizes.
    below, right = ((size + STRIDE_PX - 1) // STRIDE_PX * STRIDE_PX - size for size in (height, width))
    return F.pad(sources, (0, right, 0, below), mode="replicate")
