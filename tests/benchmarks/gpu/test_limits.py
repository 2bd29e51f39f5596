from __future__ import annotations

import pytest

from refusion.benchmarks.gpu.limits import FLOPS_PER_PIXEL, Rates, limits

H200 = Rates(copy_bytes_per_s=4.3e12, matmul_flops_per_s=790e12)


def test_limits_of_a_known_gpu() -> None:
    found = limits(640, 480, 1, H200)
    assert found.chained_ms == pytest.approx(0.038, abs=5e-4)
    assert found.fused_ms == pytest.approx(0.079, abs=5e-4)
    assert found.unfused_ms == pytest.approx(1.82, abs=5e-3)
    assert found.flops_ms == pytest.approx(0.0468, abs=5e-5)


def test_limits_grow_with_pixels_and_with_the_bytes_of_a_value() -> None:
    one, eight = limits(640, 480, 1, H200), limits(1280, 480, 4, H200)
    assert eight.unfused_ms == pytest.approx(8 * one.unfused_ms)
    assert eight.flops_ms == pytest.approx(8 * one.flops_ms)
    wide = limits(640, 480, 1, H200, bytes_per_value=4)
    assert wide.fused_ms == pytest.approx(2 * one.fused_ms)
    assert wide.flops_ms == one.flops_ms


def test_the_count_of_operations_is_the_networks_own() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from refusion.models.fusion import FusionModule

    convolutions = [m for m in FusionModule().modules() if isinstance(m, torch.nn.Conv2d)]
    # Every layer runs once, at full resolution: a weight is one multiplication a pixel.
    weights = sum(layer.weight.numel() for layer in convolutions)
    assert weights + 896 == FLOPS_PER_PIXEL // 2
