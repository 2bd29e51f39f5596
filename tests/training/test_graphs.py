from __future__ import annotations

import copy

import pytest
import torch

from refusion.training.configuration import TrainingConfiguration
from refusion.training.data import Batch
from refusion.training.graphs import WARM_UP_CALLS, GraphedSteps, StaticStep, steps_for
from refusion.training.losses import LossFactors
from refusion.training.steps import Steps

SETTINGS = ("precision=float32", "gradient_clip=1.0")


def draw(seed: int) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    return Batch.from_pairs(torch.rand(1, 2, 16, 16, generator=generator))


def train(steps: Steps, device: str = "cpu", rounds: int = 2) -> list[float]:
    """A few steps of each kind, with all that changes over a run changing."""
    results = []

    def batch(seed: int) -> Batch:
        return Batch(*(tensor.to(device) for tensor in draw(seed)))

    for number in range(rounds):
        factors = LossFactors(gradient=(number + 1) / rounds)
        for name in ("fusion", "reconstruction"):
            steps.set_learning_rate(name, 1e-3 / (number + 1))
        for move in (False, True):
            results += steps.meta(batch(3 * number), batch(3 * number + 1), factors, move=move).tolist()
        results += steps.descend(batch(3 * number + 2), factors, reconstruct=number > 0).tolist()
    return results


@pytest.mark.parametrize("optimizer", ["adam", "normalised"])
def test_steps_over_static_buffers_equal_plain_ones(optimizer: str) -> None:
    configuration = TrainingConfiguration().override([*SETTINGS, f"proposal_optimizer={optimizer}"])
    plain, static = Steps(configuration), GraphedSteps(configuration, device="cpu")
    assert train(static) == train(plain)
    for name, value in plain.modules.state_dict().items():
        assert torch.equal(static.modules.state_dict()[name], value), name


def test_a_checkpoint_resumes_static_steps() -> None:
    configuration = TrainingConfiguration().override(SETTINGS)
    plain, static = Steps(configuration), GraphedSteps(configuration, device="cpu")
    train(plain)
    train(static, rounds=1)
    static.modules.load_state_dict(plain.modules.state_dict())
    for name, optimizer in plain.optimizers.items():
        static.optimizers[name].load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert train(static) == train(plain)


def test_a_static_step_keeps_its_buffers_and_not_the_inputs() -> None:
    seen = []

    def step(x: torch.Tensor) -> torch.Tensor:
        seen.append(x.data_ptr())
        return 2 * x

    first = torch.ones(3)
    static = StaticStep(step, [first], capture=False)
    assert static(first).tolist() == [2, 2, 2]
    assert static(torch.full((3,), 4.0)).tolist() == [8, 8, 8]
    assert len(set(seen)) == 1
    assert first.data_ptr() not in seen


def test_steps_on_a_cpu_are_plain() -> None:
    steps = steps_for(TrainingConfiguration(), device="cpu")
    assert type(steps) is Steps


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("optimizer", ["adam", "normalised"])
def test_captured_steps_equal_plain_ones_on_a_gpu(optimizer: str) -> None:
    configuration = TrainingConfiguration().override([*SETTINGS, f"proposal_optimizer={optimizer}"])
    captured = steps_for(configuration, device="cuda")
    assert isinstance(captured, GraphedSteps)
    rounds = 2 * WARM_UP_CALLS
    found = train(captured, "cuda", rounds)
    assert captured.captured
    assert found == pytest.approx(train(Steps(configuration, device="cuda"), "cuda", rounds), rel=1e-3)
    assert found == pytest.approx(train(Steps(configuration), "cpu", rounds), rel=1e-2)
