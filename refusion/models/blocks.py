"""Transformer blocks shared by the fusion, loss proposal and reconstruction modules.

Source: Bai et al., "ReFusion", IJCV 2024, section 3; the block is Restormer's (Zamir et al.,
CVPR 2022): attention runs across channels, so its cost is linear in the number of pixels.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Attend = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""A form of `channel_attention`."""

NORM_EPS = 1e-5
# Squared lengths below this count as zero. It only has to keep rsqrt, and its derivatives, finite in float32
# where a whole channel is zero; real maps have squared lengths many orders above it.
MIN_SQUARED_LENGTH = 1e-12
# Pixels a single running sum of products may take in. BLAS sums a million of them one after the other, which
# in float32 costs up to 2e-4 of the output at 1200x800; in chunks the error stays below 3e-6.
GRAM_CHUNK = 4096


def widened(x: Tensor) -> Tensor:
    """Return x in float32 if it is narrower, else as it is: the start of what breaks in float16."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class ChannelNorm(nn.Module):
    """Layer norm over the channels of each pixel, with scale and shift (biased variance, eps 1e-5).

    The statistics are float32 whatever the maps are.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x, (N, C, H, W), and return the same shape."""
        # On channels-last maps F.layer_norm is one pass over the pixels, and exports to ONNX's own
        # LayerNormalization instead of nine operators.
        pixels = widened(x).permute(0, 2, 3, 1)
        pixels = F.layer_norm(pixels, self.weight.shape, self.weight, self.bias, NORM_EPS)
        return pixels.permute(0, 3, 1, 2).to(x.dtype)


def pointwise(channels_in: int, channels_out: int) -> nn.Conv2d:
    """A 1x1 convolution without bias."""
    return nn.Conv2d(channels_in, channels_out, kernel_size=1, bias=False)


def depthwise(channels: int) -> nn.Conv2d:
    """A depthwise 3x3 convolution without bias, zero padding."""
    return nn.Conv2d(channels, channels, kernel_size=3, padding=1, groups=channels, bias=False)


def spatial(channels_in: int, channels_out: int) -> nn.Conv2d:
    """A full 3x3 convolution without bias, zero padding."""
    return nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1, bias=False)


class Projection(nn.Sequential):
    """1x1 convolution, then depthwise 3x3: how every query, key, value and gate is made."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(pointwise(channels_in, channels_out), depthwise(channels_out))
        self.channels_out = channels_out

    def split(self, x: Tensor, parts: int) -> tuple[Tensor, ...]:
        """Project x and split the result into equal parts along the channels."""
        # The sizes are Python ints: split by a traced size adds hundreds of shape nodes to an ONNX.
        return self(x).split(self.channels_out // parts, dim=1)


def channel_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    temperature: Tensor,
    product: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> Tensor:
    """Attention across channels: `softmax(temperature * cos(q, k)) v`, per head.

    Everything but the product with v is float32, also for half maps: sums over the pixels pass float16's
    largest number, 65504 (74,000 is seen at 640x480).

    Args:
        q: Queries, (N, C, H, W); k, v: keys and values of the same shape.
        temperature: Learned factor of each head, (heads, 1, 1); C is a multiple of heads.
        product: How q and k are multiplied; None: `gram`.

    Returns:
        (N, C, H, W) of the type of v.
    """
    batch, channels, height, width = q.shape
    heads = temperature.shape[0]

    def by_head(x: Tensor) -> Tensor:
        return x.reshape(batch, heads, channels // heads, -1)

    q, k, v = by_head(widened(q)), by_head(widened(k)), by_head(v)
    # The lengths divide the small product matrix, not the maps: same value, two full passes less.
    scores = (product or gram)(q, k) * inverse_length(q) * inverse_length(k).transpose(-2, -1) * temperature
    return (scores.softmax(dim=-1).to(v.dtype) @ v).reshape(batch, channels, height, width)


def gram(q: Tensor, k: Tensor) -> Tensor:
    """Return q k^T, summed over the last axis, for q and k of shape (..., C, pixels)."""
    pixels = q.shape[-1]
    whole = pixels - pixels % GRAM_CHUNK
    if whole == 0:
        return q @ k.transpose(-2, -1)

    def chunks(x: Tensor) -> Tensor:
        return x[..., :whole].unflatten(-1, (-1, GRAM_CHUNK)).transpose(-3, -2)

    total = (chunks(q) @ chunks(k).transpose(-2, -1)).sum(dim=-3)
    return total + q[..., whole:] @ k[..., whole:].transpose(-2, -1)


def inverse_length(x: Tensor) -> Tensor:
    """Return 1 / |x| along the last axis, which is kept."""
    # Not torch.linalg.vector_norm: over 300,000 pixels its plain running sum is 3 times less accurate in
    # float32 than sum's pairwise one, and parity with the official outputs (1e-5) is lost.
    return x.square().sum(-1, keepdim=True).clamp(min=MIN_SQUARED_LENGTH).rsqrt()


class ChannelAttention(nn.Module):
    """Multi-head self-attention across channels."""

    attend: Attend = staticmethod(channel_attention)
    """Exported copies may compute the same function in another form."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = Projection(channels, 3 * channels)
        self.out = pointwise(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Attend within x, (N, C, H, W), and return the same shape."""
        q, k, v = self.qkv.split(x, 3)
        return self.out(self.attend(q, k, v, self.temperature))


class GatedFeedForward(nn.Module):
    """`out(gelu(a) * b)` with a and b projected from the input to `expansion` times its channels."""

    def __init__(self, channels: int, expansion: int = 2) -> None:
        super().__init__()
        hidden = expansion * channels
        self.gate = Projection(channels, 2 * hidden)
        self.out = pointwise(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Transform x, (N, C, H, W), and return the same shape."""
        a, b = self.gate.split(x, 2)
        return self.out(F.gelu(a) * b)


class TransformerBlock(nn.Module):
    """`x += attention(norm(x)); x += feed_forward(norm(x))`."""

    def __init__(self, channels: int, heads: int = 8) -> None:
        super().__init__()
        self.attention_norm = ChannelNorm(channels)
        self.attention = ChannelAttention(channels, heads)
        self.feed_forward_norm = ChannelNorm(channels)
        self.feed_forward = GatedFeedForward(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Transform x, (N, C, H, W), and return the same shape."""
        x = x + self.attention(self.attention_norm(x))
        return x + self.feed_forward(self.feed_forward_norm(x))


def transformer_blocks(channels: int, count: int, heads: int = 8) -> nn.Sequential:
    """A run of `count` transformer blocks of the same width."""
    return nn.Sequential(*(TransformerBlock(channels, heads) for _ in range(count)))
