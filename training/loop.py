"""The training loop: epochs of a meta phase and a fusion + reconstruction phase, resumable at any step."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from refusion.errors import RefusionError, WeightsError
from refusion.training.batches import BatchLoader
from refusion.training.checkpoint import first_line, read_state, state_of, write_state
from refusion.training.configuration import TrainingConfiguration
from refusion.training.data import Batch, PairSource
from refusion.training.distributed import ALONE, Processes
from refusion.training.graphs import steps_for
from refusion.training.meta import average_of_one
from refusion.training.reports import EpochReport, Observer, Record, StepReport
from refusion.training.schedule import FUSION, META, PHASES, Schedule
from refusion.training.validation import Validation

# Streams of random numbers: the seed of a mini-batch is (run seed, stream, step).
INNER_STREAM, OUTER_STREAM, FUSION_STREAM = 1, 2, 3

READ_EVERY = {"cpu": 1, "cuda": 20}
"""Steps between two looks at the losses: on a GPU each look waits for all work under way."""

STATE, BEST = "state.pt", "best.pt"


class DivergenceError(RefusionError):
    """A loss or a parameter is NaN or infinite; the last good state is on disk."""


@dataclasses.dataclass
class Progress:
    """Where a run stands; with the modules and optimisers all that a resumed run needs."""

    epoch: int = 0
    """Epochs done."""
    phase: str = PHASES[0]
    step: int = 0
    """Steps of the phase done."""
    totals: list[float] = dataclasses.field(default_factory=list)
    """Sums of the phase's losses over these steps."""
    record: Record = dataclasses.field(default_factory=dict)
    """Losses of the phases of this epoch that are done."""
    best_score: float = 0.0


class Trainer:
    """One run. What it does follows from configuration and data alone: every random draw is fixed by a step's
    number, so that a resumed run goes on exactly as it would have without the interruption."""

    def __init__(
        self,
        configuration: TrainingConfiguration,
        pairs: PairSource,
        run: Path,
        *,
        workers: int = 0,
        validation: Validation | None = None,
        processes: Processes = ALONE,
        observers: Sequence[Observer] = (),
    ) -> None:
        """Prepare a run.

        Args:
            configuration: Its settings.
            pairs: What it trains on.
            run: Its folder, which is there; state.pt and best.pt are written to it.
            workers: Processes that cut mini-batches ahead of the training.
            validation: Measures the fusion module after an epoch; None leaves validation out.
            processes: The processes that train together.
            observers: Who hears of its progress; on the first process only.
        """
        self.configuration = configuration.fitted()
        self.run = run
        self.validation = validation
        self.processes = processes
        self.observers = observers
        self.schedule = Schedule(self.configuration)
        self.steps = steps_for(
            self.configuration,
            device=processes.device,
            average=processes.average if processes.count > 1 else average_of_one,
        )
        self.progress = Progress()
        self._loader = BatchLoader(
            pairs,
            size=self.configuration.batch,
            patch_px=self.configuration.patch_px,
            seed=self.configuration.seed,
            workers=workers,
            device=processes.device,
            share=(processes.rank, processes.count),
            as_batch=self.steps.batch,
        )
        self._started = self._saved = time.monotonic()

    @property
    def position(self) -> int:
        """Steps done since the start of the run."""
        at = self.progress
        return self.schedule.position(at.epoch, at.phase, at.step)

    def train(self) -> Iterator[Record]:
        """Run the epochs that are left; yield the record of each after its checkpoint is on disk.

        With `stop_after_minutes` it ends early, within an epoch, with a checkpoint of that very step.

        Raises:
            DivergenceError: A loss or a parameter is not finite.
            OutputError: A checkpoint cannot be written.
        """
        self._started = time.monotonic()
        while self.progress.epoch < self.configuration.epochs:
            started = time.monotonic()
            for name, rate in self._rates().items():
                self.steps.set_learning_rate(name, rate)
            for phase in PHASES[PHASES.index(self.progress.phase) :]:
                if not self._run_phase(phase):
                    return
            yield self._end_epoch(started)

    def _rates(self) -> dict[str, float]:
        """Return the learning rate of each module that there is."""
        rates = self.schedule.rates(self.progress.epoch)
        return {name: rates[name] for name in self.steps.optimizers}

    def _run_phase(self, phase: str) -> bool:
        """Run what is left of a phase; tell whether it was run to its end."""
        at = self.progress
        steps = self.schedule.steps(at.epoch, phase)
        if at.phase != phase:
            at.phase, at.step, at.totals = phase, 0, []
        if not steps:
            return True
        losses = self.steps.losses[phase]
        at.totals = at.totals or [0.0] * len(losses)
        every = READ_EVERY[self.processes.device.type]
        unread = torch.zeros(len(losses), device=self.processes.device)
        batches = self._loader.batches(self._draws(phase, range(at.step, steps)))
        first, started = at.step, time.monotonic()
        while at.step < steps:
            unread += self._meta(batches, steps) if phase == META else self._descend(batches)
            at.step += 1
            if at.step % every and at.step < steps:
                continue
            sums = self._read(unread)
            at.totals = [total + value for total, value in zip(at.totals, sums, strict=True)]
            self._report(steps, sums, at.step - first, (time.monotonic() - started) / (at.step - first))
            # P's gradients that wait for its next step are not in a checkpoint.
            may_end = (
                phase == FUSION or at.step == steps or at.step % self.configuration.meta_accumulation == 0
            )
            if may_end and self._save_if_due():
                return False
            unread.zero_()
            first, started = at.step, time.monotonic()
        means = [total / steps for total in at.totals]
        at.record.update(zip(losses, means, strict=True))
        return True

    def _draws(self, phase: str, steps: range) -> list[tuple[int, int]]:
        """Return stream and number of every mini-batch of these steps."""
        streams = (INNER_STREAM, OUTER_STREAM) if phase == META else (FUSION_STREAM,)
        numbers = (self.schedule.number(self.progress.epoch, phase, step) for step in steps)
        return [(stream, number) for number in numbers for stream in streams]

    def _meta(self, batches: Iterator[Batch], steps: int) -> Tensor:
        at = self.progress
        # With the last step of a phase P moves in any case, so that nothing waits over the next phase.
        move = (at.step + 1) % self.configuration.meta_accumulation == 0 or at.step + 1 == steps
        return self.steps.meta(next(batches), next(batches), self.schedule.factors(at.epoch), move=move)

    def _descend(self, batches: Iterator[Batch]) -> Tensor:
        at = self.progress
        reconstruct = (at.step + 1) % self.configuration.reconstruction_every == 0
        return self.steps.descend(next(batches), self.schedule.factors(at.epoch), reconstruct=reconstruct)

    def _read(self, unread: Tensor) -> list[float]:
        """Return the sums of losses since the last look, averaged over the processes."""
        self.processes.average([unread])
        sums: list[float] = unread.tolist()
        at = self.progress
        for name, value in zip(self.steps.losses[at.phase], sums, strict=True):
            if not math.isfinite(value):
                raise self._diverged(f"{name} is not finite")
        return sums

    def _diverged(self, what: str) -> DivergenceError:
        at = self.progress
        return DivergenceError(
            f"{what} in epoch {at.epoch + 1}, step {at.step} of the {at.phase} phase; the last good state is "
            f"kept in {self.run}: train again with a lower learning_rate or proposal_step"
        )

    def _report(self, steps: int, sums: Sequence[float], count: int, seconds: float) -> None:
        at = self.progress
        losses = {name: value / count for name, value in zip(self.steps.losses[at.phase], sums, strict=True)}
        report = StepReport(
            epoch=at.epoch + 1,
            epochs=self.configuration.epochs,
            phase=at.phase,
            step=at.step,
            steps=steps,
            position=self.position,
            losses=losses,
            rates=self._rates(),
            seconds=seconds,
            pairs_per_second=self.configuration.batch * (2 if at.phase == META else 1) / seconds,
            left=self.schedule.left(at.epoch, at.phase, at.step),
        )
        for observer in self.observers:
            observer.step(report)

    def _end_epoch(self, started: float) -> Record:
        at, settings = self.progress, self.configuration
        self._check_parameters()
        metrics, validation_started = {}, time.monotonic()
        if self.validation is not None and self.schedule.validates(at.epoch):
            metrics = self.validation.metrics(self.steps.fusion)
        validation_seconds = time.monotonic() - validation_started
        panels = {}
        every = settings.image_panels_every
        if self.validation is not None and every and (at.epoch + 1) % every == 0 and self.observers:
            panels = self.validation.panels(self.steps.modules)
        position = self.position
        record = {"epoch": float(at.epoch + 1), **at.record, **metrics}
        record["seconds"] = time.monotonic() - started
        is_best = metrics.get("score", 0.0) > at.best_score
        best_score = max(at.best_score, metrics.get("score", 0.0))
        self.progress = Progress(epoch=at.epoch + 1, best_score=best_score)
        # Observers come first: after a kill before the checkpoint the epoch is repeated, and on resuming they
        # drop what they wrote of it.
        report = EpochReport(
            epochs=settings.epochs,
            position=position,
            record=record,
            validation=metrics,
            validation_seconds=validation_seconds,
            panels=panels,
            left=self.schedule.left(at.epoch + 1, META, 0),
        )
        for observer in self.observers:
            observer.epoch(report)
        if is_best:
            self._write(BEST)
        self.save()
        return record

    def _check_parameters(self) -> None:
        # The loss of the last step was finite before the step that may have spoilt the parameters.
        sums = torch.stack([p.detach().sum() for p in self.steps.modules.parameters()])
        if not bool(sums.isfinite().all()):
            raise self._diverged("a parameter is not finite")

    def _save_if_due(self) -> bool:
        """Save if it is time to; tell whether the time of the run is up."""
        settings, now = self.configuration, time.monotonic()
        limit_seconds = 60 * settings.stop_after_minutes
        is_up = self.processes.agree(0 < limit_seconds <= now - self._started)
        due = now - self._saved >= 60 * settings.checkpoint_minutes
        if is_up or self.processes.agree(due):
            self._check_parameters()
            self.save()
        return is_up

    def save(self) -> None:
        """Write the whole state to the run folder."""
        self._write(STATE)
        self._saved = time.monotonic()

    def _write(self, name: str) -> None:
        if self.processes.is_first:
            content = {**state_of(self.steps), **dataclasses.asdict(self.progress)}
            content["configuration"] = dataclasses.asdict(self.configuration)
            write_state(self.run / name, content)

    def load(self) -> None:
        """Take the state of the run folder up again.

        Raises:
            WeightsError: The state is damaged, or of another architecture.
        """
        path = self.run / STATE
        state = read_state(path, self.steps)
        try:
            fields = dataclasses.fields(Progress)
            self.progress = Progress(**{field.name: state[field.name] for field in fields})
            PHASES.index(self.progress.phase)
        except (KeyError, ValueError) as error:
            raise WeightsError(f"{path} cannot be resumed from: {first_line(error)}") from None
