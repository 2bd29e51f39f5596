"""The meta gradient: against second-order autograd, and against finite differences."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from refusion.benchmarks.transcription import transcribed_objective
from refusion.models.fusion import FusionModule
from refusion.models.proposal import LossProposal
from refusion.models.reconstruction import ReconstructionModule
from refusion.training.data import Batch
from refusion.training.losses import LossFactors
from refusion.training.meta import accumulate_meta_gradient

RATE, FACTORS = 0.05, LossFactors(gradient=0.5)

Modules = tuple[nn.Module, nn.Module, nn.Module]


@pytest.fixture
def modules() -> Modules:
    torch.manual_seed(0)
    found = FusionModule().double(), LossProposal(8, 1, 1).double(), ReconstructionModule(8, 1).double()
    with torch.no_grad():
        for module in found:
            for parameter in module.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
    return found


def outer_objective(modules: Modules, inner: Batch, outer: Batch) -> Tensor:
    return transcribed_objective(*modules, inner, outer, learning_rate=RATE, factors=FACTORS)


def meta_gradient(modules: Modules, inner: Batch, outer: Batch) -> list[Tensor]:
    proposal = modules[1]
    proposal.zero_grad()
    result = accumulate_meta_gradient(*modules, inner, outer, learning_rate=RATE, factors=FACTORS)
    assert result.reconstruction == pytest.approx(float(outer_objective(modules, inner, outer).detach()))
    return [parameter.grad.clone() for parameter in proposal.parameters()]


def test_it_equals_second_order_autograd(modules: Modules, batches: tuple[Batch, Batch]) -> None:
    expected = torch.autograd.grad(outer_objective(modules, *batches), list(modules[1].parameters()))
    for found, value in zip(meta_gradient(modules, *batches), expected, strict=True):
        torch.testing.assert_close(found, value, rtol=1e-6, atol=1e-14)


def test_it_equals_central_differences(modules: Modules, batches: tuple[Batch, Batch]) -> None:
    """Entry by entry and along random directions, of the objective that the meta step itself reports."""
    gradients = meta_gradient(modules, *batches)
    parameters = list(modules[1].parameters())

    @torch.no_grad()
    def move(directions: Sequence[Tensor], step: float) -> None:
        for parameter, direction in zip(parameters, directions, strict=True):
            parameter.add_(step * direction)

    def check(directions: Sequence[Tensor]) -> None:
        around = []
        for step in (1e-5, -1e-5):
            move(directions, step)
            result = accumulate_meta_gradient(*modules, *batches, learning_rate=RATE, factors=FACTORS)
            around.append(float(result.reconstruction))
            move(directions, -step)
        expected = (around[0] - around[1]) / 2e-5
        found = sum(float((g * d).sum()) for g, d in zip(gradients, directions, strict=True))
        assert found == pytest.approx(expected, rel=1e-4, abs=0)

    torch.manual_seed(1)
    for _ in range(3):
        check([torch.randn_like(parameter) for parameter in parameters])
    for index in (0, len(parameters) // 2, len(parameters) - 1):
        largest = gradients[index].abs().argmax()
        entry = [torch.zeros_like(parameter) for parameter in parameters]
        entry[index].view(-1)[largest] = 1
        check(entry)


def test_following_it_lowers_the_outer_objective(modules: Modules, batches: tuple[Batch, Batch]) -> None:
    before = float(outer_objective(modules, *batches).detach())
    gradients = meta_gradient(modules, *batches)
    length = float(torch.sqrt(sum((g * g).sum() for g in gradients)))
    with torch.no_grad():
        for parameter, gradient in zip(modules[1].parameters(), gradients, strict=True):
            parameter.sub_(0.05 * gradient / length)
    assert float(outer_objective(modules, *batches).detach()) < before


def test_fusion_and_reconstruction_stay_as_they_are(modules: Modules, batches: tuple[Batch, Batch]) -> None:
    before = [p.detach().clone() for m in (modules[0], modules[2]) for p in m.parameters()]
    meta_gradient(modules, *batches)
    after = [p for m in (modules[0], modules[2]) for p in m.parameters()]
    assert all(torch.equal(old, new) for old, new in zip(before, after, strict=True))
    assert all(parameter.grad is None for parameter in after)
