from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from refusion.models.blocks import ChannelNorm, channel_attention  # noqa: E402
from refusion.models.fusion import FusionModule  # noqa: E402
from refusion.models.proposal import LossProposal  # noqa: E402
from refusion.models.reconstruction import ReconstructionModule  # noqa: E402


def test_the_fusion_module_has_the_papers_parameters() -> None:
    assert sum(parameter.numel() for parameter in FusionModule().parameters()) == 59_856


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 3), (16, 16)])
def test_outputs_have_the_documented_shape_and_range(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    sources = torch.rand(2, 2, *size)
    fused = FusionModule()(sources)
    assert fused.shape == (2, 1, *size)
    assert ((fused > 0) & (fused < 1)).all()
    assert ReconstructionModule()(fused).shape == sources.shape
    for weights in LossProposal()(sources):
        assert weights.shape == sources.shape
        torch.testing.assert_close(weights.sum(dim=1), torch.ones(2, *size))


def test_channel_norm_by_its_definition() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 16, 3, 5)
    norm = ChannelNorm(16)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    spread = (x.var(dim=1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    expected = (x - x.mean(dim=1, keepdim=True)) / spread * norm.weight[:, None, None] + norm.bias[
        :, None, None
    ]
    torch.testing.assert_close(norm(x), expected)


def test_channel_attention_by_its_definition() -> None:
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 8, 4, 5)
    temperature = torch.rand(4, 1, 1)
    out = channel_attention(q, k, v, temperature)
    for image in range(2):
        for head in range(4):
            rows = slice(2 * head, 2 * head + 2)
            qs, ks, vs = (x[image, rows].flatten(1) for x in (q, k, v))
            qs, ks = (x / x.norm(dim=1, keepdim=True) for x in (qs, ks))
            expected = (temperature[head, 0, 0] * qs @ ks.T).softmax(dim=1) @ vs
            torch.testing.assert_close(out[image, rows].flatten(1), expected)


def test_a_black_image_has_finite_gradients() -> None:
    torch.manual_seed(0)
    module = FusionModule()
    module(torch.zeros(1, 2, 8, 8)).sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in module.parameters())
