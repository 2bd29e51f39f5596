"""The fusion module F of ReFusion (IJCV 2024, section 3.2): two sources in, one fused image out."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from refusion.models.blocks import (
    Attend,
    Projection,
    channel_attention,
    pointwise,
    spatial,
    transformer_blocks,
    widened,
)

CHANNELS = 16
HEADS = 8
ENCODER_BLOCKS = 2
DECODER_BLOCKS = 2
GATE_CHANNELS = 64
LEAKY_SLOPE = 0.01


class CrossAttentionFusion(nn.Module):
    """Joins the maps of both sources: each is attended with the queries of the other, then gated."""

    attend: Attend = staticmethod(channel_attention)
    """As in ChannelAttention."""

    def __init__(self, channels: int = CHANNELS, heads: int = HEADS) -> None:
        super().__init__()
        self.temperature_a = nn.Parameter(torch.ones(heads, 1, 1))
        self.temperature_b = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv_a = Projection(channels, 3 * channels)
        self.qkv_b = Projection(channels, 3 * channels)
        self.mix_a = pointwise(channels, channels)
        self.mix_b = pointwise(channels, channels)
        self.gate = Projection(2 * channels, 2 * GATE_CHANNELS)
        self.value_a = Projection(channels, GATE_CHANNELS)
        self.value_b = Projection(channels, GATE_CHANNELS)
        self.out_a = pointwise(GATE_CHANNELS, 2 * channels)
        self.out_b = pointwise(GATE_CHANNELS, 2 * channels)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Join a and b, (N, C, H, W) each, into (N, 2C, H, W)."""
        q_a, k_a, v_a = self.qkv_a.split(a, 3)
        q_b, k_b, v_b = self.qkv_b.split(b, 3)
        a = a + self.mix_a(self.attend(q_b, k_a, v_a, self.temperature_a))
        b = b + self.mix_b(self.attend(q_a, k_b, v_b, self.temperature_b))
        joint = torch.cat((a, b), dim=1)
        gate_a, gate_b = self.gate.split(joint, 2)
        a = self.out_a(F.gelu(gate_a) * self.value_a(a))
        b = self.out_b(F.gelu(gate_b) * self.value_b(b))
        return joint + a + b


class FusionModule(nn.Module):
    """The full fusion network: 59,856 parameters, no biases in convolutions, full resolution throughout."""

    def __init__(self) -> None:
        super().__init__()
        self.input_a = spatial(1, CHANNELS)
        self.input_b = spatial(1, CHANNELS)
        self.encoder_a = transformer_blocks(CHANNELS, ENCODER_BLOCKS, HEADS)
        self.encoder_b = transformer_blocks(CHANNELS, ENCODER_BLOCKS, HEADS)
        self.cross = CrossAttentionFusion(CHANNELS, HEADS)
        self.decoder = transformer_blocks(2 * CHANNELS, DECODER_BLOCKS, HEADS)
        self.head = spatial(2 * CHANNELS, CHANNELS)
        self.output = spatial(CHANNELS, 1)

    def forward(self, sources: Tensor) -> Tensor:
        """Fuse two luma images.

        Args:
            sources: Both sources along the channels, (N, 2, H, W), values in [0, 1]; source a first.

        Returns:
            The fused luma, (N, 1, H, W), values in (0, 1).
        """
        # Float32 goes in and comes out of a half-precision copy too: its last step, the sigmoid, would else
        # round white to multiples of 1/8 gray level.
        a, b = sources.to(self.input_a.weight.dtype).split(1, dim=1)
        a = self.encoder_a(self.input_a(a))
        b = self.encoder_b(self.input_b(b))
        x = self.decoder(self.cross(a, b))
        x = F.leaky_relu(self.head(x), LEAKY_SLOPE)
        return torch.sigmoid(widened(self.output(x)))
