"""The parameter updates of training: one meta step for P, one fusion + reconstruction step for F and R."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from refusion.models.fusion import FusionModule
from refusion.models.proposal import LossProposal
from refusion.models.reconstruction import ReconstructionModule
from refusion.training.configuration import TrainingConfiguration
from refusion.training.data import Batch
from refusion.training.losses import WEIGHTINGS, LossFactors, fusion_loss, reconstruction_loss
from refusion.training.meta import Average, accumulate_meta_gradient, average_of_one
from refusion.training.normalised import NormalisedDescent


class Steps:
    """F, P and R with their optimisers, and the two kinds of step that move them."""

    def __init__(
        self,
        configuration: TrainingConfiguration,
        *,
        device: torch.device | str = "cpu",
        average: Average = average_of_one,
    ) -> None:
        self.configuration = configuration
        self.average = average
        torch.manual_seed(configuration.seed)
        self.modules = nn.ModuleDict(
            {
                "fusion": FusionModule(),
                "proposal": LossProposal(balanced=configuration.balanced_weights),
                "reconstruction": ReconstructionModule(),
            }
        )
        # Channels last: layer norm and 1x1 convolutions then read each pixel once.
        self.modules.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.fusion = self.modules["fusion"]
        self.proposal = self.modules["proposal"]
        self.reconstruction = self.modules["reconstruction"]
        rate = configuration.learning_rate
        self.optimizers = {
            "fusion": torch.optim.Adam(self.fusion.parameters(), lr=rate),
            "reconstruction": torch.optim.Adam(self.reconstruction.parameters(), lr=rate),
            "proposal": self._proposal_optimizer(),
        }

    def _proposal_optimizer(self) -> torch.optim.Optimizer:
        rate = self.configuration.proposal_step
        if self.configuration.proposal_optimizer == "normalised":
            return NormalisedDescent(self.proposal.parameters(), lr=rate)
        # Meta gradients are tiny: with the usual eps of 1e-8 Adam would hardly move P.
        return torch.optim.Adam(self.proposal.parameters(), lr=rate, eps=1e-10)

    def meta(self, inner: Batch, outer: Batch, factors: LossFactors, *, move: bool) -> Tensor:
        """Accumulate one meta gradient for P; with `move`, also take P's step on the sum since its last one.

        Returns:
            (2,), on this process' share: fusion loss of the inner update, reconstruction loss of the outer
            objective.
        """
        result = accumulate_meta_gradient(
            self.fusion,
            self.proposal,
            self.reconstruction,
            inner,
            outer,
            learning_rate=self.configuration.inner_learning_rate,
            factors=factors,
            average=self.average,
        )
        if move:
            self._step("proposal")
            self.optimizers["proposal"].zero_grad()
        return torch.stack((result.fusion, result.reconstruction))

    def descend(self, batch: Batch, factors: LossFactors, *, reconstruct: bool = True) -> Tensor:
        """One Adam step of F on the fusion loss, P frozen, and one of R on the detached fused image.

        Without `reconstruct` R is left alone, and the reconstruction loss only measured.

        Returns:
            (4,), on this process' share: fusion loss, reconstruction loss, mean |weight - 0.5| of the
            intensity and gradient maps.
        """
        weighting = WEIGHTINGS.get(self.configuration.loss, self.proposal)
        with torch.no_grad():
            weights = weighting(batch.sources)
        fused = self.fusion(batch.sources)
        fusion_value = fusion_loss(fused, batch.sources, weights, factors)
        self._adam_step("fusion", fusion_value)
        with torch.set_grad_enabled(reconstruct):
            reconstruction_value = reconstruction_loss(self.reconstruction(fused.detach()), batch.targets)
        if reconstruct:
            self._adam_step("reconstruction", reconstruction_value)
        spread = [(w - 0.5).abs().mean() for w in weights]
        return torch.stack((fusion_value.detach(), reconstruction_value.detach(), *spread))

    def _adam_step(self, name: str, loss: Tensor) -> None:
        self.optimizers[name].zero_grad()
        loss.backward()
        self._step(name, clip=self.configuration.gradient_clip)

    def _step(self, name: str, *, clip: float = 0.0) -> None:
        self.average([p.grad for p in self.modules[name].parameters() if p.grad is not None])
        if clip:
            nn.utils.clip_grad_norm_(self.modules[name].parameters(), clip)
        self.optimizers[name].step()
