"""What a run does when: the steps of each epoch, its learning rates and the factors of its loss."""

from __future__ import annotations

import math
from dataclasses import dataclass

from refusion.training.configuration import TrainingConfiguration
from refusion.training.losses import LossFactors

META, FUSION, VALIDATION = "meta", "fusion", "validation"

PHASES = (META, FUSION)
"""The phases of an epoch, in order."""


@dataclass(frozen=True)
class Schedule:
    """The schedule of a run; epochs and steps count from 0."""

    settings: TrainingConfiguration

    def steps(self, epoch: int, phase: str) -> int:
        """Return how many steps a phase of an epoch has: the last epoch ends with the run's last step."""
        settings = self.settings
        if phase == META:
            frozen = 0 < settings.meta_epochs <= epoch
            learns = settings.loss == "learned" and settings.model == "full"
            return settings.meta_steps if learns and not frozen else 0
        limit = settings.steps or math.inf
        return int(min(settings.fusion_steps, limit - epoch * settings.fusion_steps))

    def number(self, epoch: int, phase: str, step: int) -> int:
        """Return the number of a step among all steps of its phase: it fixes the mini-batches of the step."""
        return epoch * (self.settings.meta_steps if phase == META else self.settings.fusion_steps) + step

    def position(self, epoch: int, phase: str, step: int) -> int:
        """Return how many steps of both phases lie before a step; skipped meta steps count."""
        before = self.settings.meta_steps if phase == FUSION else 0
        return epoch * (self.settings.meta_steps + self.settings.fusion_steps) + before + step

    def validates(self, epoch: int) -> bool:
        """Tell whether an epoch ends with a validation."""
        due = (epoch + 1) % self.settings.validation_every == 0 or epoch + 1 == self.settings.epochs
        return due and self.settings.validation_pairs > 0

    def left(self, epoch: int, phase: str, step: int) -> dict[str, int]:
        """Return how many meta steps, fusion steps and validations are to come, this step included."""
        if epoch == self.settings.epochs:
            return dict.fromkeys((*PHASES, VALIDATION), 0)
        later = range(epoch + 1, self.settings.epochs)
        left = {name: sum(self.steps(e, name) for e in later) for name in PHASES}
        left[phase] += self.steps(epoch, phase) - step
        if phase == META:
            left[FUSION] += self.steps(epoch, FUSION)
        left[VALIDATION] = sum(self.validates(e) for e in (epoch, *later))
        return left

    def rates(self, epoch: int) -> dict[str, float]:
        """Return the learning rate of each optimiser in an epoch: half a cosine over the run."""
        settings = self.settings
        fall = 0.5 * (1 + math.cos(math.pi * epoch / settings.epochs))
        rate = settings.final_learning_rate + fall * (settings.learning_rate - settings.final_learning_rate)
        # P slows down with F: at a constant step its weight maps swing, and F chases them.
        proposal = rate / settings.learning_rate * settings.proposal_step
        return {"fusion": rate, "reconstruction": rate, "proposal": proposal}

    def factors(self, epoch: int) -> LossFactors:
        """Return the factors of the fusion loss in an epoch (IJCV 2024, section 3.3)."""
        settings = self.settings
        return LossFactors(
            gradient=(epoch + 1) / settings.epochs,
            structure=settings.structure_factor,
            edge=settings.edge_factor,
            information=settings.information_factor,
            difference=settings.difference_factor,
        )
