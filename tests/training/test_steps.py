"""The updates of training: what each of them moves, by how much, and over how many processes."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from refusion.training.configuration import TrainingConfiguration
from refusion.training.data import Batch
from refusion.training.losses import LossFactors
from refusion.training.meta import Average, accumulate_meta_gradient, average_of_one
from refusion.training.steps import Steps

FACTORS = LossFactors(gradient=0.5)
RATE = 0.05


def exact_steps(*changes: str, average: Average = average_of_one) -> Steps:
    """Steps in float64, so that differences are differences of method."""
    settings = [
        f"inner_learning_rate={RATE}",
        "proposal_step=0.01",
        "proposal_optimizer=normalised",
        *changes,
    ]
    steps = Steps(TrainingConfiguration().override(settings), average=average)
    steps.modules.double()
    return steps


def mini_batch(seed: int, pairs: int = 1) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    return Batch.from_pairs(torch.rand(pairs, 2, 10, 10, generator=generator, dtype=torch.float64))


def values(steps: Steps, name: str) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in steps.modules[name].parameters()]


def equal(old: Sequence[Tensor], new: Sequence[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(old, new, strict=True))


def meta_gradient(steps: Steps, inner: Batch, outer: Batch) -> list[Tensor]:
    """The gradient of one meta step alone."""
    steps.proposal.zero_grad()
    accumulate_meta_gradient(
        steps.fusion, steps.proposal, steps.reconstruction, inner, outer, learning_rate=RATE, factors=FACTORS
    )
    gradients = [parameter.grad.clone() for parameter in steps.proposal.parameters()]
    steps.proposal.zero_grad()
    return gradients


def test_meta_steps_accumulate_until_the_proposal_module_moves() -> None:
    steps = exact_steps()
    before = {name: values(steps, name) for name in steps.modules}
    draws = [(mini_batch(0), mini_batch(1)), (mini_batch(2), mini_batch(3))]
    sums = [sum(parts) for parts in zip(*(meta_gradient(steps, *draw) for draw in draws), strict=True)]
    largest = max(float(total.abs().max()) for total in sums)

    steps.meta(*draws[0], FACTORS, move=False)
    assert equal(before["proposal"], values(steps, "proposal"))
    steps.meta(*draws[1], FACTORS, move=True)
    for old, new, total in zip(before["proposal"], values(steps, "proposal"), sums, strict=True):
        torch.testing.assert_close(new, old - 0.01 * total / largest)
    assert equal(before["fusion"], values(steps, "fusion"))
    assert equal(before["reconstruction"], values(steps, "reconstruction"))

    moved = values(steps, "proposal")
    alone = meta_gradient(steps, *draws[0])
    steps.meta(*draws[0], FACTORS, move=True)
    largest = max(float(gradient.abs().max()) for gradient in alone)
    for old, new, gradient in zip(moved, values(steps, "proposal"), alone, strict=True):
        torch.testing.assert_close(new, old - 0.01 * gradient / largest)


@pytest.mark.parametrize("optimizer", ["adam", "normalised"])
@pytest.mark.parametrize("seed", range(3))
def test_what_the_proposal_module_learns_lowers_the_outer_objective(seed: int, optimizer: str) -> None:
    steps = exact_steps(f"seed={seed}", f"proposal_optimizer={optimizer}", "proposal_step=1e-3")
    draws = [(mini_batch(10 * seed + i), mini_batch(10 * seed + i + 5)) for i in range(2)]
    objectives = []
    for _ in range(3):
        # The objective of a meta step is taken after the inner update, from an F and R that stay the same.
        first = steps.meta(*draws[0], FACTORS, move=False)
        objectives.append(float(first[1] + steps.meta(*draws[1], FACTORS, move=True)[1]))
    assert objectives[0] > objectives[1] > objectives[2]


def test_descending_leaves_the_proposal_module_alone() -> None:
    steps = exact_steps()
    before = {name: values(steps, name) for name in steps.modules}
    for seed in range(2):
        steps.descend(mini_batch(seed), FACTORS)
    assert equal(before["proposal"], values(steps, "proposal"))
    assert all(parameter.grad is None for parameter in steps.proposal.parameters())
    for name in ("fusion", "reconstruction"):
        assert not any(torch.equal(a, b) for a, b in zip(before[name], values(steps, name), strict=True))


class AverageOfTwo:
    """Averages over two threads that take turns: one computes while the other waits here."""

    def __init__(self) -> None:
        self.turn = threading.Condition()
        self.calls: list[int] = []
        self._given: list[Sequence[Tensor]] = []

    def __call__(self, tensors: Sequence[Tensor]) -> None:
        self._given.append(tensors)
        if len(self._given) == 2:
            for first, second in zip(*self._given, strict=True):
                mean = (first + second) / 2
                first.copy_(mean)
                second.copy_(mean)
            self.calls.append(len(tensors))
            self._given.clear()
            self.turn.notify()
        else:
            assert self.turn.wait(timeout=60), "the other process never came to this average"


def test_two_processes_with_half_the_batch_equal_one_with_all_of_it() -> None:
    batches = [mini_batch(seed, pairs=2) for seed in range(6)]

    def train(steps: Steps, share: slice) -> None:
        inner, outer, inner_2, outer_2, batch, batch_2 = (Batch.from_pairs(b.targets[share]) for b in batches)
        steps.meta(inner, outer, FACTORS, move=False)
        steps.meta(inner_2, outer_2, FACTORS, move=True)
        steps.descend(batch, FACTORS)
        steps.descend(batch_2, FACTORS)

    joint = exact_steps()
    train(joint, slice(0, 2))

    average = AverageOfTwo()
    halves = [exact_steps(average=average) for _ in range(2)]

    def process(index: int) -> None:
        with average.turn:
            train(halves[index], slice(index, index + 1))

    threads = [threading.Thread(target=process, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # Twice the inner gradients of F and R and the direction, then P's gradient; then F's and R's, twice.
    sizes = {name: len(values(joint, name)) for name in joint.modules}
    fusion, reconstruction = sizes["fusion"], sizes["reconstruction"]
    meta = [fusion, reconstruction, fusion]
    assert average.calls == [*meta, *meta, sizes["proposal"], *(2 * [fusion, reconstruction])]
    for half in halves:
        for name in joint.modules:
            for expected, found in zip(values(joint, name), values(half, name), strict=True):
                torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-9)


def test_mixed_precision_keeps_losses_and_parameters_in_float32() -> None:
    settings = ["patch_px=16", "batch=1"]
    batch = Batch(*(tensor.float() for tensor in mini_batch(0)))
    losses = {}
    for precision in ("float32", "bfloat16"):
        steps = Steps(TrainingConfiguration().override([*settings, f"precision={precision}"]))
        types = set()
        steps.fusion.head.register_forward_hook(lambda _m, _i, y, types=types: types.add(y.dtype))
        losses[precision] = steps.descend(batch, FACTORS)
        assert types == {getattr(torch, precision)}
        assert losses[precision].dtype == torch.float32
        assert all(parameter.dtype == torch.float32 for parameter in steps.modules.parameters())
    torch.testing.assert_close(losses["bfloat16"], losses["float32"], rtol=0.02, atol=1e-3)


def test_a_checkpoint_takes_the_placement_of_the_steps_it_is_loaded_into() -> None:
    plain = exact_steps("proposal_optimizer=adam")
    plain.descend(mini_batch(0), FACTORS)
    state = plain.optimizers["fusion"].state_dict()
    state["param_groups"] = [
        {**group, "lr": torch.tensor(3e-4), "capturable": True} for group in state["param_groups"]
    ]
    plain.optimizers["fusion"].load_state_dict(state)
    group = plain.optimizers["fusion"].param_groups[0]
    assert group["capturable"] is False
    assert group["lr"] == pytest.approx(3e-4)
    plain.descend(mini_batch(1), FACTORS)
