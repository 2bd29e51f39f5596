"""The reconstruction module R of ReFusion (IJCV 2024, section 3.4): both sources from the fused image."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from refusion.models.blocks import spatial, transformer_blocks
from refusion.models.fusion import LEAKY_SLOPE

CHANNELS = 16


class ReconstructionModule(nn.Module):
    """Gives both sources back, in (a, b) order. How well it can is what training learns from."""

    def __init__(self, channels: int = CHANNELS, encoder_blocks: int = 2, branch_blocks: int = 1) -> None:
        super().__init__()
        self.input = spatial(1, channels)
        self.encoder = transformer_blocks(channels, encoder_blocks)
        self.branch_a = transformer_blocks(channels, branch_blocks)
        self.branch_b = transformer_blocks(channels, branch_blocks)
        self.head_a = spatial(channels, channels)
        self.head_b = spatial(channels, channels)
        self.output_a = spatial(channels, 1)
        self.output_b = spatial(channels, 1)

    def forward(self, fused: Tensor) -> Tensor:
        """Reconstruct from fused, (N, 1, H, W) in [0, 1], both sources, (N, 2, H, W) in (0, 1)."""
        x = self.encoder(self.input(fused))
        a = self.output_a(F.leaky_relu(self.head_a(self.branch_a(x)), LEAKY_SLOPE))
        b = self.output_b(F.leaky_relu(self.head_b(self.branch_b(x)), LEAKY_SLOPE))
        return torch.sigmoid(torch.cat((a, b), dim=1))
