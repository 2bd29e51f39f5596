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
from torch import nn

from refusion.errors import RefusionError, WeightsError
from refusion.models.fusion import FusionModule
from refusion.models.proposal import LossProposal
from refusion.models.reconstruction import ReconstructionModule
from refusion.training.configuration import TrainingConfiguration
from refusion.training.data import Batch, PairSet
from refusion.training.losses import fusion_loss, reconstruction_loss
from refusion.training.meta import accumulate_meta_gradient

log = logging.getLogger(__name__)

# Streams of random numbers: the seed of a mini-batch is (run seed, stream, step).
INNER, OUTER, FUSION = 1, 2, 3


class DivergenceError(RefusionError):
    """A loss is NaN or infinite; the state of the epoch before is on disk."""


class Trainer:
    """F, P and R with their optimisers, and the step counters that fix every random draw."""

    def __init__(self, configuration: TrainingConfiguration, pairs: PairSet, run: Path) -> None:
        self.configuration = configuration
        self.pairs = pairs
        self.run = run
        torch.manual_seed(configuration.seed)
        self.modules = nn.ModuleDict(
            {"fusion": FusionModule(), "proposal": LossProposal(), "reconstruction": ReconstructionModule()}
        )
        # Channels last: layer norm and 1x1 convolutions then read each pixel once.
        self.modules.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.fusion = self.modules["fusion"]
        self.proposal = self.modules["proposal"]
        self.reconstruction = self.modules["reconstruction"]
        rate = configuration.learning_rate
        self.optimizers = {
            "fusion": torch.optim.Adam(self.fusion.parameters(), lr=rate),
            "reconstruction": torch.optim.Adam(self.reconstruction.parameters(), lr=rate),
            # Meta gradients are tiny: with the usual eps of 1e-8 Adam would hardly move P.
            "proposal": torch.optim.Adam(
                self.proposal.parameters(), lr=configuration.proposal_step, eps=1e-10
            ),
        }
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
            self.optimizers[name].param_groups[0]["lr"] = rate
        # P slows down with F: at a constant step its weight maps swing, and F chases them.
        share = rate / settings.learning_rate
        self.optimizers["proposal"].param_groups[0]["lr"] = share * settings.proposal_step

    @property
    def gradient_factor(self) -> float:
        """Factor c of the gradient terms: it rises from 1 / epochs to 1 (IJCV 2024, section 3.3)."""
        return (self.epoch + 1) / self.configuration.epochs

    def _meta_phase(self) -> dict[str, float]:
        settings = self.configuration
        if settings.meta_steps == 0:
            return {}
        self.modules.train()
        totals = torch.zeros(2)
        for step in range(settings.meta_steps):
            number = self.epoch * settings.meta_steps + step
            result = accumulate_meta_gradient(
                self.fusion,
                self.proposal,
                self.reconstruction,
                self._batch(INNER, number),
                self._batch(OUTER, number),
                learning_rate=settings.inner_learning_rate,
                gradient_factor=self.gradient_factor,
            )
            totals += torch.stack((result.fusion, result.reconstruction))
            if (step + 1) % settings.meta_accumulation == 0:
                self.optimizers["proposal"].step()
                self.optimizers["proposal"].zero_grad()
        inner, outer = (totals / settings.meta_steps).tolist()
        return {"meta_fusion_loss": inner, "meta_reconstruction_loss": outer}

    def _fusion_phase(self) -> dict[str, float]:
        settings = self.configuration
        totals = torch.zeros(4)
        for step in range(settings.fusion_steps):
            batch = self._batch(FUSION, self.epoch * settings.fusion_steps + step)
            with torch.no_grad():
                weights = self.proposal(batch.sources)
            fused = self.fusion(batch.sources)
            fusion_value = fusion_loss(fused, batch.sources, weights, self.gradient_factor)
            self._adam_step("fusion", fusion_value)
            reconstructed = self.reconstruction(fused.detach())
            reconstruction_value = reconstruction_loss(reconstructed, batch.targets)
            self._adam_step("reconstruction", reconstruction_value)
            spread = [(w - 0.5).abs().mean() for w in weights]
            totals += torch.stack((fusion_value.detach(), reconstruction_value.detach(), *spread))
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

    def _adam_step(self, name: str, loss: torch.Tensor) -> None:
        self.optimizers[name].zero_grad()
        loss.backward()
        self.optimizers[name].step()

    def save(self) -> None:
        """Write the whole state, so that a kill at any moment loses at most the current epoch."""
        state = {
            "configuration": dataclasses.asdict(self.configuration),
            "epoch": self.epoch,
            "modules": self.modules.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
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
            self.modules.load_state_dict(state["modules"])
            for name, optimizer in self.optimizers.items():
                optimizer.load_state_dict(state["optimizers"][name])
            self.epoch = state["epoch"]
        except Exception as error:  # on damaged bytes the restricted unpickler raises nearly anything
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise WeightsError(f"{path} cannot be resumed from: {reason}") from None
