"""The training loop: epochs of a meta phase and a fusion + reconstruction phase, resumable at every epoch."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from refusion.errors import RefusionError, WeightsError
from refusion.training.configuration import TrainingConfiguration
from refusion.training.data import Batch, PairSet
from refusion.training.losses import LossFactors
from refusion.training.steps import Steps

log = logging.getLogger(__name__)

# Streams of random numbers: the seed of a mini-batch is (run seed, stream, step).
INNER, OUTER, FUSION = 1, 2, 3


class DivergenceError(RefusionError):
    """A loss is NaN or infinite; the state of the epoch before is on disk."""


class Trainer:
    """The schedule: epochs of steps, and the step counters that fix every random draw."""

    def __init__(self, configuration: TrainingConfiguration, pairs: PairSet, run: Path) -> None:
        self.configuration = configuration
        self.pairs = pairs
        self.run = run
        self.steps = Steps(configuration)
        self.epoch = 0

    def train(self) -> Iterator[dict[str, float]]:
        """Run the epochs that are left; yield the losses of each after its checkpoint is on disk."""
        while self.epoch < self.configuration.epochs:
            started = time.monotonic()
            self._set_learning_rates()
            losses = {**self._meta_phase(), **self._fusion_phase()}
            bad = [name for name, value in losses.items() if not math.isfinite(value)]
            if bad:
                raise DivergenceError(f"{bad[0]} is not finite in epoch {self.epoch}; the last state is kept")
            self.epoch += 1
            record = {"epoch": float(self.epoch), **losses, "seconds": time.monotonic() - started}
            self.save()
            with (self.run / "losses.jsonl").open("a") as file:
                file.write(json.dumps(record) + "\n")
            yield record

    def _set_learning_rates(self) -> None:
        settings = self.configuration
        fall = 0.5 * (1 + math.cos(math.pi * self.epoch / settings.epochs))
        rate = settings.final_learning_rate + fall * (settings.learning_rate - settings.final_learning_rate)
        for name in ("fusion", "reconstruction"):
            self.steps.set_learning_rate(name, rate)
        # P slows down with F: at a constant step its weight maps swing, and F chases them.
        share = rate / settings.learning_rate
        self.steps.set_learning_rate("proposal", share * settings.proposal_step)

    @property
    def factors(self) -> LossFactors:
        """Factors of the fusion loss in this epoch (IJCV 2024, section 3.3)."""
        settings = self.configuration
        return LossFactors(
            gradient=(self.epoch + 1) / settings.epochs,
            structure=settings.structure_factor,
            edge=settings.edge_factor,
            information=settings.information_factor,
            difference=settings.difference_factor,
        )

    def _meta_phase(self) -> dict[str, float]:
        settings = self.configuration
        frozen = settings.meta_epochs and self.epoch >= settings.meta_epochs
        if settings.meta_steps == 0 or settings.loss != "learned" or frozen:
            return {}
        totals = torch.zeros(2)
        for step in range(settings.meta_steps):
            number = self.epoch * settings.meta_steps + step
            move = (step + 1) % settings.meta_accumulation == 0
            totals += self.steps.meta(
                self._batch(INNER, number), self._batch(OUTER, number), self.factors, move=move
            )
        inner, outer = (totals / settings.meta_steps).tolist()
        return {"meta_fusion_loss": inner, "meta_reconstruction_loss": outer}

    def _fusion_phase(self) -> dict[str, float]:
        settings = self.configuration
        totals = torch.zeros(4)
        for step in range(settings.fusion_steps):
            batch = self._batch(FUSION, self.epoch * settings.fusion_steps + step)
            reconstruct = (step + 1) % settings.reconstruction_every == 0
            totals += self.steps.descend(batch, self.factors, reconstruct=reconstruct)
        fusion, reconstruction, intensity, gradient = (totals / settings.fusion_steps).tolist()
        return {
            "fusion_loss": fusion,
            "reconstruction_loss": reconstruction,
            "intensity_weight_spread": intensity,
            "gradient_weight_spread": gradient,
        }

    def _batch(self, stream: int, number: int) -> Batch:
        settings = self.configuration
        return self.pairs.batch(settings.batch, settings.patch_px, (settings.seed, stream, number))

    def save(self) -> None:
        """Write the whole state, so that a kill at any moment loses at most the current epoch."""
        state = {
            "configuration": dataclasses.asdict(self.configuration),
            "epoch": self.epoch,
            "modules": self.steps.modules.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.steps.optimizers.items()},
        }
        self.run.mkdir(parents=True, exist_ok=True)
        partial = self.run / "state.pt.partial"
        torch.save(state, partial)
        partial.replace(self.run / "state.pt")

    def load(self) -> None:
        """Take the state of the run folder up again.

        Raises:
            WeightsError: The state is damaged, or of another architecture.
        """
        path = self.run / "state.pt"
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            self.steps.modules.load_state_dict(state["modules"])
            for name, optimizer in self.steps.optimizers.items():
                optimizer.load_state_dict(state["optimizers"][name])
            self.epoch = state["epoch"]
        except Exception as error:  # on damaged bytes the restricted unpickler raises nearly anything
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise WeightsError(f"{path} cannot be resumed from: {reason}") from None
