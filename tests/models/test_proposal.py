from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from refusion.models.proposal import LossProposal  # noqa: E402


def biased(*, balanced: bool) -> LossProposal:
    torch.manual_seed(0)
    module = LossProposal(balanced=balanced)
    with torch.no_grad():
        for head in (module.intensity, module.gradient):
            head[-1].bias.copy_(torch.tensor([3.0, -3.0]))
    return module


def test_weights_of_both_sources_sum_to_one() -> None:
    with torch.inference_mode():
        maps = biased(balanced=False)(torch.rand(2, 2, 16, 16))
    for weights in maps:
        assert weights.shape == (2, 2, 16, 16)
        assert torch.allclose(weights.sum(1), torch.ones(2, 16, 16))
        assert float(weights[:, 0].mean()) > 0.7  # the bias alone gives 0.998


def test_balanced_weights_cannot_prefer_one_source_everywhere() -> None:
    sources = torch.rand(2, 2, 16, 16)
    with torch.inference_mode():
        maps = biased(balanced=True)(sources)
    for weights in maps:
        log_odds = (weights[:, 0] / weights[:, 1]).log()
        assert torch.allclose(log_odds.mean((1, 2)), torch.zeros(2), atol=1e-4)
        assert float(weights.std()) > 0
