"""The loss proposal module P of ReFusion (IJCV 2024, section 3.3): which source counts where."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from refusion.models.blocks import spatial, transformer_blocks

CHANNELS = 16


class LossWeights(NamedTuple):
    """Weight maps of the fusion loss: (N, 2, H, W) each, source a first, summing to 1 at every pixel."""

    intensity: Tensor
    gradient: Tensor


class WeightHead(nn.Sequential):
    """Two convolutions that turn features into the logits of one pair of weight maps."""

    def __init__(self, channels: int) -> None:
        super().__init__(
            nn.Conv2d(channels, channels // 2, 3, padding=1),
            nn.PReLU(),
            nn.Conv2d(channels // 2, 2, 3, padding=1),
        )


class LossProposal(nn.Module):
    """Proposes the weights of the fusion loss for one pair of sources. It exists only in training.

    With `balanced` the logits of each map have mean 0, so that it says where each source counts, but cannot
    prefer one everywhere. Otherwise, as in the paper, it can; on infrared + visible it then soon gives the
    infrared intensities 0.94 of the weight at every pixel, because they are the hardest to reconstruct.
    """

    def __init__(
        self,
        channels: int = CHANNELS,
        encoder_blocks: int = 2,
        joint_blocks: int = 2,
        *,
        balanced: bool = False,
    ) -> None:
        super().__init__()
        self.balanced = balanced
        self.input_a = spatial(1, channels)
        self.input_b = spatial(1, channels)
        self.encoder_a = transformer_blocks(channels, encoder_blocks)
        self.encoder_b = transformer_blocks(channels, encoder_blocks)
        self.joint = transformer_blocks(2 * channels, joint_blocks)
        self.intensity = WeightHead(2 * channels)
        self.gradient = WeightHead(2 * channels)

    def forward(self, sources: Tensor) -> LossWeights:
        """Propose weights for sources, (N, 2, H, W), values in [0, 1]; source a first."""
        a, b = sources.split(1, dim=1)
        x = torch.cat((self.encoder_a(self.input_a(a)), self.encoder_b(self.input_b(b))), dim=1)
        x = self.joint(x)
        return LossWeights(self._weights(self.intensity(x)), self._weights(self.gradient(x)))

    def _weights(self, logits: Tensor) -> Tensor:
        if self.balanced:
            logits = logits - logits.mean((2, 3), keepdim=True)
        return logits.softmax(dim=1)
