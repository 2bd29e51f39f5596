"""The meta phase of ReFusion (IJCV 2024, section 3.5): the loss proposal module learns from reconstruction.

Inner update, on one mini-batch: F' = F - lr dL_F/dF, with the weights that P proposes;
R' = R - lr dL_R/dR on the (detached) fused image. Outer objective, on another mini-batch:
L_R(R'(F'(a, b))), whose gradient for P flows through F' alone.

By the chain rule that gradient is -lr d/dP <dL_F/dF, v> with v = dL_R/dF' taken at F'. The inner
product is the derivative of L_F along v, and P enters L_F only through the weight maps. So it takes
one forward-mode pass of F along v, and P is differentiated once: exactly the gradient that
`create_graph=True` gives, without second-order graphs (tests compare the two).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, jvp

from refusion.training.data import Batch
from refusion.training.losses import LossFactors, fusion_loss, reconstruction_loss

Parameters = dict[str, Tensor]

Average = Callable[[Sequence[Tensor]], None]
"""Averages tensors in place over all processes of a run."""


def average_of_one(_tensors: Sequence[Tensor]) -> None:
    """The average over the only process there is: the tensors as they are."""


class MetaResult(NamedTuple):
    """Losses of one meta step, as 0-d tensors (not moved off the device)."""

    fusion: Tensor
    reconstruction: Tensor


def _descended(module: nn.Module, loss: Tensor, learning_rate: float, average: Average) -> Parameters:
    """The module's parameters after one plain SGD step on the joint loss, as leaves that want gradients."""
    named = dict(module.named_parameters())
    gradients = torch.autograd.grad(loss, list(named.values()))
    average(gradients)
    return {
        name: (value.detach() - learning_rate * gradient).requires_grad_()
        for (name, value), gradient in zip(named.items(), gradients, strict=True)
    }


def accumulate_meta_gradient(
    fusion: nn.Module,
    proposal: nn.Module,
    reconstruction: nn.Module,
    inner: Batch,
    outer: Batch,
    *,
    learning_rate: float,
    factors: LossFactors,
    average: Average = average_of_one,
) -> MetaResult:
    """Add the gradient of the outer objective to the `.grad` of the proposal module's parameters.

    In a run of several processes each gives its own share of the joint mini-batches. What leaves here is then
    this process' term of P's gradient: its mean over the processes is the joint one. It is linear in what
    has accumulated, so that one average before P's step does.

    Args:
        fusion: F; left unchanged, like reconstruction.
        proposal: P.
        reconstruction: R.
        inner: Mini-batch of the inner update.
        outer: Another mini-batch, for the outer objective.
        learning_rate: Step of the inner update.
        factors: Factors of the terms of the fusion loss.
        average: Averages the gradients inside the step over the processes of the run.

    Returns:
        The losses on this process' share.
    """
    weights = proposal(inner.sources)
    fixed_weights = type(weights)(*(w.detach() for w in weights))
    fused = fusion(inner.sources)
    fusion_value = fusion_loss(fused, inner.sources, fixed_weights, factors)
    adapted_fusion = _descended(fusion, fusion_value, learning_rate, average)
    inner_reconstruction = reconstruction_loss(reconstruction(fused.detach()), inner.targets)
    adapted_reconstruction = _descended(reconstruction, inner_reconstruction, learning_rate, average)

    outer_fused = functional_call(fusion, adapted_fusion, (outer.sources,))
    frozen = {name: value.detach() for name, value in adapted_reconstruction.items()}
    outer_value = reconstruction_loss(functional_call(reconstruction, frozen, (outer_fused,)), outer.targets)
    names = list(adapted_fusion)
    direction = torch.autograd.grad(outer_value, [adapted_fusion[name] for name in names])
    average(direction)

    with torch.no_grad():
        parameters = {name: value.detach() for name, value in fusion.named_parameters()}
        fused_change = jvp(
            lambda values: functional_call(fusion, values, (inner.sources,)),
            (parameters,),
            (dict(zip(names, direction, strict=True)),),
        )[1]
    loss_change = jvp(
        lambda image: fusion_loss(image, inner.sources, weights, factors),
        (fused.detach(),),
        (fused_change,),
    )[1]
    (-learning_rate * loss_change).backward()
    return MetaResult(fusion_value.detach(), outer_value.detach())
