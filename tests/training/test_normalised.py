from __future__ import annotations

import pytest
import torch
from torch import nn

from refusion.training.normalised import NormalisedDescent


@pytest.fixture
def parameters() -> list[nn.Parameter]:
    found = [
        nn.Parameter(torch.tensor([1.0, 2.0])),
        nn.Parameter(torch.tensor([[3.0]])),
        nn.Parameter(torch.ones(2)),
    ]
    found[0].grad = torch.tensor([1e-9, -2e-9])
    found[1].grad = torch.tensor([[-4e-9]])
    return found


def test_the_largest_gradient_of_all_parameters_moves_by_the_learning_rate(
    parameters: list[nn.Parameter],
) -> None:
    NormalisedDescent(parameters, lr=0.1).step()
    torch.testing.assert_close(parameters[0].detach(), torch.tensor([1.0 - 0.025, 2.0 + 0.05]))
    torch.testing.assert_close(parameters[1].detach(), torch.tensor([[3.0 + 0.1]]))
    assert torch.equal(parameters[2], torch.ones(2))


def test_no_gradient_is_no_step(parameters: list[nn.Parameter]) -> None:
    before = [parameter.detach().clone() for parameter in parameters]
    for parameter in parameters[:2]:
        parameter.grad = torch.zeros_like(parameter)
    optimizer = NormalisedDescent(parameters, lr=0.1)
    optimizer.step()
    for parameter in parameters:
        parameter.grad = None
    optimizer.step()
    assert all(torch.equal(old, new) for old, new in zip(before, parameters, strict=True))


def test_its_state_is_its_learning_rate(parameters: list[nn.Parameter]) -> None:
    resumed = NormalisedDescent(parameters, lr=0.3)
    resumed.load_state_dict(NormalisedDescent(parameters, lr=0.1).state_dict())
    assert resumed.param_groups[0]["lr"] == 0.1
    with pytest.raises(ValueError, match="takes no closure"):
        resumed.step(lambda: 0.0)
