"""Other forms of channel attention, for runtimes that want them; the same function."""

from __future__ import annotations

from torch import Tensor

from refusion.models.blocks import channel_attention, inverse_length, widened


def whole_product_attention(q: Tensor, k: Tensor, v: Tensor, temperature: Tensor) -> Tensor:
    """Channel attention with one product of queries and keys, as `channel_attention` otherwise.

    Runtimes sum in blocks of their own.
    """
    return channel_attention(q, k, v, temperature, lambda q, k: q @ k.transpose(-2, -1))


def half_product_attention(q: Tensor, k: Tensor, v: Tensor, temperature: Tensor) -> Tensor:
    """Channel attention whose products are all FP16: TensorRT-RTX has no FP32 products for Turing (SM75).

    Queries and keys are normalised first, so that no sum of products passes 1, and scaled so that their
    elements, 1/550 on average at 640x480, stay clear of FP16's smallest.

    Args:
        q: Queries, (N, C, H, W); k, v: keys and values of the same shape.
        temperature: Learned factor of each head, (heads, 1, 1); C is a multiple of heads.

    Returns:
        (N, C, H, W) of the type of v.
    """
    batch, channels, height, width = q.shape
    heads = temperature.shape[0]
    scale = 64.0

    def by_head(x: Tensor) -> Tensor:
        return x.reshape(batch, heads, channels // heads, -1)

    def unit(x: Tensor) -> Tensor:
        x = by_head(widened(x))
        return (x * (inverse_length(x) * scale)).to(v.dtype)

    scores = (unit(q) @ unit(k).transpose(-2, -1)).float() * (temperature / scale**2)
    return (scores.softmax(dim=-1).to(v.dtype) @ by_head(v)).reshape(batch, channels, height, width)
