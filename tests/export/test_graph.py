from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from refusion.export.attention import half_product_attention  # noqa: E402
from refusion.export.graph import half_convolutions, half_kernels, runtime_form  # noqa: E402
from refusion.models.blocks import channel_attention  # noqa: E402
from refusion.models.fusion import FusionModule  # noqa: E402


@pytest.mark.parametrize("half_products", [False, True])
def test_the_runtime_form_is_the_same_function(half_products: bool) -> None:
    torch.manual_seed(0)
    module = FusionModule().eval()
    sources = torch.rand(2, 2, 70, 60)  # more pixels than the module sums up in one go
    form = runtime_form(module, half_products=half_products)
    with torch.inference_mode():
        torch.testing.assert_close(form(sources), module(sources), atol=1e-6, rtol=0)


def test_attention_in_half_products_stays_close_where_sums_pass_the_largest_half() -> None:
    torch.manual_seed(0)
    q, k, v = (20 * torch.randn(1, 16, 160, 120) for _ in range(3))
    assert q.square().sum((2, 3)).max() > 65504
    temperature = torch.rand(8, 1, 1) + 0.5
    expected = channel_attention(q, k, v, temperature)
    for attend in (channel_attention, half_product_attention):
        found = attend(q.half(), k.half(), v.half(), temperature)
        assert found.dtype == torch.float16
        torch.testing.assert_close(found.float(), expected, atol=0.1, rtol=2e-3)


def test_half_convolutions_take_and_give_float32() -> None:
    torch.manual_seed(0)
    module = FusionModule().eval()
    mixed = half_convolutions(runtime_form(module))
    dtypes = {name.rpartition(".")[2]: parameter.dtype for name, parameter in mixed.named_parameters()}
    assert dtypes["temperature"] == torch.float32
    norms = {p.dtype for name, p in mixed.named_parameters() if "norm" in name}
    assert norms == {torch.float32}
    sources = torch.rand(1, 2, 16, 16)
    with torch.inference_mode():
        fused = mixed(sources)
        torch.testing.assert_close(fused, module(sources), atol=2e-3, rtol=0)
    assert fused.dtype == torch.float32


def test_half_kernels_keep_their_sum() -> None:
    torch.manual_seed(0)
    kernels = torch.randn(64, 4, 3, 3) * 0.3
    rounded = half_kernels(kernels)
    assert rounded.dtype == torch.float16
    exact, kept, plain = (w.double().sum((2, 3)) for w in (kernels, rounded, kernels.half()))
    assert (kept - exact).abs().mean() < (plain - exact).abs().mean() / 4
    # One tap moves, by no more than the error that the nine have together.
    assert (rounded != kernels.half()).sum((2, 3)).max() <= 1
    torch.testing.assert_close(rounded.float(), kernels, atol=3e-3, rtol=0)
    pointwise = torch.randn(8, 4, 1, 1)
    assert torch.equal(half_kernels(pointwise), pointwise.half())
