"""What no implementation of the network can pass on a device: counted work over measured rates.

The network is FusionModule at full resolution. Floating-point operations are counted from its layers; bytes
are those that must cross device memory in FP16 (twice as many in FP32), for three ways to run it:

- unfused: every layer reads its inputs from memory and writes its output there;
- fused: a block is two passes over the pixels, since its attention needs a sum over all of them first;
- chained: the sum that the next block needs is taken in the pass before, one pass a block.
"""

from __future__ import annotations

from dataclasses import dataclass

CONVOLUTION_MACS_PER_PIXEL = 59_280
ATTENTION_MACS_PER_PIXEL = 896
FLOPS_PER_PIXEL = 2 * (CONVOLUTION_MACS_PER_PIXEL + ATTENTION_MACS_PER_PIXEL)

FP16_BYTES_PER_PIXEL = {"unfused": 25_500, "fused": 1_100, "chained": 532}


@dataclass(frozen=True)
class Rates:
    """What the device does at best, measured in the same run as the times that are compared with it."""

    copy_bytes_per_s: float
    """Of a large copy within device memory: bytes read plus bytes written."""
    matmul_flops_per_s: float
    """Of a large FP16 matrix product, on random data."""


@dataclass(frozen=True)
class Limits:
    """Least milliseconds for a batch, by what limits it."""

    unfused_ms: float
    fused_ms: float
    chained_ms: float
    flops_ms: float


def limits(width_px: int, height_px: int, batch: int, rates: Rates, *, bytes_per_value: int = 2) -> Limits:
    """Return the limits for a batch of one size.

    Args:
        width_px, height_px: Size of an image.
        batch: Images in the batch.
        rates: Of the device.
        bytes_per_value: 2 for FP16 and bfloat16 maps, 4 for float32; it scales the traffic.
    """
    pixels = width_px * height_px * batch
    traffic_ms = {
        way: 1e3 * pixels * count * bytes_per_value / 2 / rates.copy_bytes_per_s
        for way, count in FP16_BYTES_PER_PIXEL.items()
    }
    return Limits(
        unfused_ms=traffic_ms["unfused"],
        fused_ms=traffic_ms["fused"],
        chained_ms=traffic_ms["chained"],
        flops_ms=1e3 * pixels * FLOPS_PER_PIXEL / rates.matmul_flops_per_s,
    )
