"""The parameter updates of the lite network: towards the teacher's pictures, and down the learned loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from refusion.models.lite import LiteModule
from refusion.models.proposal import LossWeights
from refusion.training.data import Batch
from refusion.training.lessons import lesson_batch
from refusion.training.losses import LossFactors, distillation_loss, fusion_loss
from refusion.training.schedule import FUSION
from refusion.training.steps import Steps


class LiteSteps(Steps):
    """The lite network with its optimiser; mini-batches are lessons, which hold the weights of the loss."""

    losses: ClassVar[Mapping[str, tuple[str, ...]]] = {FUSION: ("fusion_loss", "distillation_loss")}

    def _make_modules(self) -> nn.ModuleDict:
        return nn.ModuleDict({"fusion": LiteModule()})

    def _forward_of(self, module: nn.Module) -> Callable[[Tensor], Any]:
        assert isinstance(module, LiteModule)
        return module.unclamped

    def batch(self, drawn: Tensor) -> Batch:
        """Return lessons as a mini-batch."""
        return lesson_batch(drawn)

    def descend(self, batch: Batch, factors: LossFactors, *, reconstruct: bool = False) -> Tensor:
        """One Adam step on the fusion loss plus `distillation_factor` times the distance to the teacher.

        There is no reconstruction module that `reconstruct` could move.

        Returns:
            (2,), on this process' share: fusion loss, distillation loss.
        """
        taught, *weights = batch.targets.split(1, dim=1)
        fused = self._run("fusion", batch.sources)
        proposed = LossWeights(*(torch.cat((weight, 1 - weight), dim=1) for weight in weights))
        fusion_value = fusion_loss(fused, batch.sources, proposed, factors)
        distillation_value = distillation_loss(fused, taught)
        self._adam_step("fusion", fusion_value + self.configuration.distillation_factor * distillation_value)
        return torch.stack((fusion_value.detach(), distillation_value.detach()))
