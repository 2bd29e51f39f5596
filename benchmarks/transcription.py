"""The training steps as the paper writes them: ours are compared with them in gradients, time and memory."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call

from refusion.models.fusion import FusionModule
from refusion.models.proposal import LossProposal
from refusion.models.reconstruction import ReconstructionModule
from refusion.training.data import Batch
from refusion.training.losses import LossFactors, fusion_loss, reconstruction_loss

INNER_RATE, RATE = 1e-3, 1e-3


def transcribed_objective(
    fusion: nn.Module,
    proposal: nn.Module,
    reconstruction: nn.Module,
    inner: Batch,
    outer: Batch,
    *,
    learning_rate: float,
    factors: LossFactors,
) -> Tensor:
    """Return the outer objective of the meta phase as the paper writes it, inner updates in the graph."""

    def descended(module: nn.Module, loss: Tensor) -> dict[str, Tensor]:
        named = dict(module.named_parameters())
        gradients = torch.autograd.grad(loss, list(named.values()), create_graph=True)
        return {
            name: value - learning_rate * gradient
            for (name, value), gradient in zip(named.items(), gradients, strict=True)
        }

    fused = fusion(inner.sources)
    loss = fusion_loss(fused, inner.sources, proposal(inner.sources), factors)
    adapted = descended(fusion, loss)
    inner_loss = reconstruction_loss(reconstruction(fused.detach()), inner.targets)
    adapted_reconstruction = descended(reconstruction, inner_loss)
    outer_fused = functional_call(fusion, adapted, (outer.sources,))
    returned = functional_call(reconstruction, adapted_reconstruction, (outer_fused,))
    return reconstruction_loss(returned, outer.targets)


class TranscribedSteps:
    """Meta step and fusion + reconstruction step without any of our changes."""

    def __init__(self, device: torch.device | str) -> None:
        torch.manual_seed(0)
        self.fusion = FusionModule().to(device)
        self.proposal = LossProposal().to(device)
        self.reconstruction = ReconstructionModule().to(device)
        self.optimizers = [
            torch.optim.Adam(module.parameters(), lr=RATE)
            for module in (self.fusion, self.proposal, self.reconstruction)
        ]

    def meta(self, inner: Batch, outer: Batch, factors: LossFactors) -> None:
        """One meta step, and P's step on its gradient."""
        objective = transcribed_objective(
            self.fusion,
            self.proposal,
            self.reconstruction,
            inner,
            outer,
            learning_rate=INNER_RATE,
            factors=factors,
        )
        optimizer = self.optimizers[1]
        parameters = list(self.proposal.parameters())
        # For P alone: a backward pass would go on to the gradients of F and R, which nobody needs.
        for parameter, gradient in zip(parameters, torch.autograd.grad(objective, parameters), strict=True):
            parameter.grad = gradient
        optimizer.step()

    def descend(self, batch: Batch, factors: LossFactors) -> None:
        """One Adam step of F on the fusion loss, one of R on the detached fused image."""
        with torch.no_grad():
            weights = self.proposal(batch.sources)
        fused = self.fusion(batch.sources)
        loss = fusion_loss(fused, batch.sources, weights, factors)
        returned = self.reconstruction(fused.detach())
        for optimizer, value in (
            (self.optimizers[0], loss),
            (self.optimizers[2], reconstruction_loss(returned, batch.targets)),
        ):
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
