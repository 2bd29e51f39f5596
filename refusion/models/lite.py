"""The lite fusion network: a small network at low resolution says how each pixel is fused at full resolution.

It follows the idea of bilateral learning (Gharbi et al., "Deep bilateral learning for real-time image
enhancement", SIGGRAPH 2017): coefficients are predicted on a coarse grid, and applied to features of the
full-resolution picture. What a pixel becomes is linear in its features, which are not linear in the sources,
so that an edge inside a cell of the grid stays sharp.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from refusion.models.blocks import widened

STRIDE_PX = 16
"""Side of a cell of the grid."""
FEATURES = 12
"""Learned features of a pixel; with 1, source a and source b it has three more."""
STEM_CHANNELS, MIDDLE_CHANNELS, GRID_CHANNELS = 16, 32, 48
GRID_BLOCKS = 2
CONTEXT_CHANNELS = STEM_CHANNELS + GRID_CHANNELS
MIN_MEAN = 1e-3
"""Added to the means of maps before their logarithm."""


class GridNetwork(nn.Module):
    """Predicts the coefficients of all cells: convolutions at 1/4, 1/8 and 1/16 of the resolution.

    The whole picture counts, too: the full network prefers the source that has more contrast in all of it.
    Its attention sees ratios, so here the means of maps enter as logarithms, whose differences are ratios:
    without them, weights trained on one camera kept half the contrast of another's pictures.
    """

    def __init__(self, coefficients: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, STEM_CHANNELS, 4, stride=4)
        self.middle = nn.Conv2d(STEM_CHANNELS, MIDDLE_CHANNELS, 3, stride=2, padding=1)
        self.bottom = nn.Conv2d(MIDDLE_CHANNELS, GRID_CHANNELS, 3, stride=2, padding=1)
        self.blocks = nn.ModuleList(
            nn.Conv2d(GRID_CHANNELS, GRID_CHANNELS, 3, padding=1) for _ in range(GRID_BLOCKS)
        )
        effect = nn.Linear(CONTEXT_CHANNELS, 2 * GRID_CHANNELS)
        self.context = nn.Sequential(nn.Linear(CONTEXT_CHANNELS, CONTEXT_CHANNELS), nn.ReLU(), effect)
        # Training starts as if all pictures were alike.
        nn.init.zeros_(effect.weight)
        nn.init.zeros_(effect.bias)
        self.output = nn.Conv2d(GRID_CHANNELS, coefficients, 1)

    def forward(self, sources: Tensor) -> Tensor:
        """Return the grid, (N, coefficients, H / 16, W / 16), of (N, 2, H, W), sides multiples of 16."""
        stem = F.relu(self.stem(sources.to(self.stem.weight.dtype)))
        x = F.relu(self.bottom(F.relu(self.middle(stem))))
        shift, gain = self._of_picture(stem, x)
        first, *others = self.blocks
        x = x + F.relu(first(x) + shift)
        for block in others:
            x = x + F.relu(block(x))
        return self.output(x * gain)

    def _of_picture(self, stem: Tensor, bottom: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the whole picture adds to the first block, and multiplies the last map by."""
        means = torch.cat([widened(x).mean((2, 3)) for x in (stem, bottom)], dim=1)
        context = self.context((means + MIN_MEAN).log()).to(bottom.dtype)[:, :, None, None]
        shift, gain = context.split(GRID_CHANNELS, dim=1)
        return shift, 1 + gain


class LiteModule(nn.Module):
    """The lite fusion network: 71,971 parameters, about 550 multiplications a pixel (full: 60,000)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(2, FEATURES, 3)
        self.grid = GridNetwork(3 + FEATURES)
        average = torch.zeros(3 + FEATURES)
        average[1:3] = 0.5
        # Training starts near the average of the sources.
        nn.init.normal_(self.grid.output.weight, std=0.02)
        self.grid.output.bias = nn.Parameter(average)

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
        # Whole cells to the end: cropping one channel is cheaper than cropping every coefficient.
        whole = _padded(sources)
        coefficients = F.interpolate(
            self.grid(whole), scale_factor=STRIDE_PX, mode="bilinear", align_corners=False
        )
        around = F.pad(whole, (1, 1, 1, 1), mode="replicate")
        learned = F.relu(self.features(around.to(self.features.weight.dtype)))
        # As in the full network, float32 goes in and comes out of a half-precision copy.
        features = torch.cat((torch.ones_like(whole[:, :1]), whole, widened(learned)), dim=1)
        fused = (widened(coefficients) * features).sum(dim=1, keepdim=True)
        return fused[:, :, :height, :width]


def _padded(sources: Tensor) -> Tensor:
    """Return sources with their last row and column repeated up to whole cells."""
    height, width = sources.shape[2:]
    # Not `-size % STRIDE_PX`: TensorRT's remainder may be negative, and then it refuses dynamic sizes.
    below, right = ((size + STRIDE_PX - 1) // STRIDE_PX * STRIDE_PX - size for size in (height, width))
    return F.pad(sources, (0, right, 0, below), mode="replicate")
