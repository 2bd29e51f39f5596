from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from refusion import OutputError, WeightsError
from refusion.training.configuration import TrainingConfiguration
from refusion.training.data import PairSet
from refusion.training.loop import DivergenceError, Trainer
from refusion.training.reports import EpochReport, Observer, Record, StepReport
from refusion.training.validation import Validation

SETTINGS = ("epochs=3", "meta_steps=2", "fusion_steps=2", "batch=1", "patch_px=16")


def trainer(pairs: PairSet, run: Path, *changes: str, observers: Sequence[Observer] = ()) -> Trainer:
    run.mkdir(exist_ok=True)
    configuration = TrainingConfiguration().override([*SETTINGS, *changes])
    return Trainer(configuration, pairs, run, observers=observers)


def losses(records: Sequence[Record]) -> list[Record]:
    return [{name: v for name, v in record.items() if name != "seconds"} for record in records]


class Watcher:
    """Keeps the reports; may stop the run at a step of the first epoch as a kill would."""

    def __init__(self, cut: tuple[str, int] | None = None) -> None:
        self.cut = cut
        self.steps: list[StepReport] = []
        self.epochs: list[EpochReport] = []

    def step(self, report: StepReport) -> None:
        self.steps.append(report)
        if (report.phase, report.step) == self.cut:
            raise KeyboardInterrupt

    def epoch(self, report: EpochReport) -> None:
        self.epochs.append(report)

    def close(self) -> None:
        """Nothing is held."""


def test_a_resumed_run_equals_an_uninterrupted_one(pairs: PairSet, tmp_path: Path) -> None:
    expected = losses(list(trainer(pairs, tmp_path / "whole").train()))
    cut = trainer(pairs, tmp_path / "cut")
    first = next(cut.train())
    resumed = trainer(pairs, tmp_path / "cut")
    resumed.load()
    assert losses([first, *resumed.train()]) == expected
    whole = trainer(pairs, tmp_path / "whole")
    whole.load()
    for name, value in whole.steps.modules.state_dict().items():
        assert torch.equal(resumed.steps.modules.state_dict()[name], value), name


@pytest.mark.parametrize("optimizer", ["adam", "normalised"])
def test_a_run_is_resumed_exactly_at_any_step(optimizer: str, pairs: PairSet, tmp_path: Path) -> None:
    settings = ("epochs=1", "meta_steps=3", "fusion_steps=2", "checkpoint_minutes=1e-9")
    settings += (f"proposal_optimizer={optimizer}",)
    expected = losses(list(trainer(pairs, tmp_path / "whole", *settings).train()))
    # Between the steps of P, which are every two meta steps, its gradients are no part of a checkpoint.
    for cut in (("meta", 3), ("fusion", 1), ("fusion", 2)):
        run = tmp_path / f"{cut[0]}{cut[1]}"
        with pytest.raises(KeyboardInterrupt):
            list(trainer(pairs, run, *settings, observers=[Watcher(cut)]).train())
        watcher = Watcher()
        resumed = trainer(pairs, run, *settings, observers=[watcher])
        resumed.load()
        assert losses(list(resumed.train())) == expected
        assert (watcher.steps[0].phase, watcher.steps[0].step) == cut


def test_a_run_ends_after_its_steps(pairs: PairSet, tmp_path: Path) -> None:
    watcher = Watcher()
    run = trainer(pairs, tmp_path, "steps=3", "meta_steps=1", observers=[watcher])
    assert len(list(run.train())) == 2
    assert [(report.epoch, report.phase, report.step) for report in watcher.steps] == [
        (1, "meta", 1),
        (1, "fusion", 1),
        (1, "fusion", 2),
        (2, "meta", 1),
        (2, "fusion", 1),
    ]
    assert [report.position for report in watcher.steps] == [1, 2, 3, 4, 5]
    assert watcher.steps[0].left == {"meta": 1, "fusion": 3, "validation": 2}
    assert watcher.steps[-1].left == {"meta": 0, "fusion": 0, "validation": 1}


def test_the_best_state_is_kept(pairs: PairSet, tmp_path: Path) -> None:
    watcher = Watcher()
    configuration = TrainingConfiguration().override([*SETTINGS, "validation_every=2", "learning_rate=0.5"])
    run = Trainer(configuration, pairs, tmp_path, validation=Validation(pairs, 48), observers=[watcher])
    records = list(run.train())
    assert ["score" in record for record in records] == [False, True, True]
    best = max(records[1:], key=lambda record: record["score"])
    for name, epoch in (("state.pt", 3), ("best.pt", best["epoch"])):
        state = torch.load(tmp_path / name, weights_only=True)
        assert (state["epoch"], state["best_score"]) == (epoch, best["score"])


def test_the_meta_phase_alone_moves_the_proposal_module(pairs: PairSet, tmp_path: Path) -> None:
    for steps, moves in (("2", True), ("0", False)):
        run = trainer(pairs, tmp_path / steps, f"meta_steps={steps}", "epochs=1")
        before = [p.detach().clone() for p in run.steps.proposal.parameters()]
        before_fusion = [p.detach().clone() for p in run.steps.fusion.parameters()]
        list(run.train())
        moved = any(
            not torch.equal(o, n) for o, n in zip(before, run.steps.proposal.parameters(), strict=True)
        )
        assert moved is moves
        assert not torch.equal(before_fusion[0], next(run.steps.fusion.parameters()))


def test_training_lowers_the_losses(pairs: PairSet, tmp_path: Path) -> None:
    run = trainer(pairs, tmp_path, "epochs=4", "fusion_steps=10", "meta_steps=0", "learning_rate=3e-3")
    records = list(run.train())
    assert records[-1]["reconstruction_loss"] < 0.8 * records[0]["reconstruction_loss"]


def test_a_loss_that_is_not_finite_keeps_the_last_state(pairs: PairSet, tmp_path: Path) -> None:
    run = trainer(pairs, tmp_path)
    records = run.train()
    next(records)
    kept = (tmp_path / "state.pt").read_bytes()
    with torch.no_grad():
        run.steps.fusion.output.weight.fill_(float("nan"))
    with pytest.raises(
        DivergenceError,
        match="meta_fusion_loss is not finite in epoch 2, step 1 of the meta phase; the last good",
    ):
        next(records)
    assert (tmp_path / "state.pt").read_bytes() == kept


def test_a_parameter_that_is_not_finite_is_never_saved(pairs: PairSet, tmp_path: Path) -> None:
    class Spoiler(Watcher):
        def step(self, report: StepReport) -> None:
            if report.phase == "fusion" and report.step == report.steps:
                with torch.no_grad():
                    run.steps.proposal.input_a.weight.fill_(float("inf"))

    run = trainer(pairs, tmp_path, "checkpoint_minutes=1e-9", observers=[Spoiler()])
    with pytest.raises(
        DivergenceError, match="a parameter is not finite in epoch 1, step 2 of the fusion phase"
    ):
        next(run.train())
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert (state["phase"], state["step"]) == ("fusion", 1)
    assert all(bool(value.isfinite().all()) for value in state["modules"].values())


def test_a_damaged_state_is_refused(pairs: PairSet, tmp_path: Path) -> None:
    trainer(pairs, tmp_path).save()
    state = (tmp_path / "state.pt").read_bytes()
    for damaged in (b"", state[:-2000], b"junk" * 100):
        (tmp_path / "state.pt").write_bytes(damaged)
        with pytest.raises(WeightsError, match="state.pt cannot be resumed from"):
            trainer(pairs, tmp_path).load()


def test_a_state_that_cannot_be_written_is_one_error(pairs: PairSet, tmp_path: Path) -> None:
    run = trainer(pairs, tmp_path)
    (tmp_path / "state.pt.partial").mkdir()
    with pytest.raises(OutputError, match="state.pt cannot be written: Is a directory"):
        run.save()


def test_the_proposal_module_is_frozen_after_the_meta_epochs(pairs: PairSet, tmp_path: Path) -> None:
    run = trainer(pairs, tmp_path, "epochs=2", "meta_epochs=1", "gradient_clip=1.0")
    records = run.train()
    assert "meta_fusion_loss" in next(records)
    kept = [p.detach().clone() for p in run.steps.proposal.parameters()]
    assert "meta_fusion_loss" not in next(records)
    assert all(torch.equal(o, n) for o, n in zip(kept, run.steps.proposal.parameters(), strict=True))


def test_reconstruction_can_learn_on_every_other_step_without_changing_fusion(
    pairs: PairSet, tmp_path: Path
) -> None:
    settings = ("epochs=1", "meta_steps=0", "fusion_steps=2")
    each = trainer(pairs, tmp_path / "each", *settings)
    other = trainer(pairs, tmp_path / "other", *settings, "reconstruction_every=2")
    for run in (each, other):
        list(run.train())
    same = [
        name
        for name, value in each.steps.modules.state_dict().items()
        if torch.equal(value, other.steps.modules.state_dict()[name])
    ]
    assert all(name in same for name in each.steps.modules.state_dict() if name.startswith("fusion"))
    assert not any(name in same for name in ("reconstruction.input.weight", "reconstruction.output_a.weight"))


def test_a_run_whose_time_is_up_stops_where_it_can_be_resumed(pairs: PairSet, tmp_path: Path) -> None:
    settings = ("epochs=1", "meta_steps=3", "fusion_steps=2")
    expected = losses(list(trainer(pairs, tmp_path / "whole", *settings).train()))
    pieces: list[list[Record]] = []
    while not (pieces and pieces[-1]):
        piece = trainer(pairs, tmp_path / "pieces", *settings, "stop_after_minutes=1e-9")
        if pieces:
            piece.load()
        pieces.append(list(piece.train()))
    # P's two steps and two fusion steps stop four pieces; the fifth finds the phases done and ends the epoch.
    assert [len(records) for records in pieces] == [0, 0, 0, 0, 1]
    assert losses(pieces[-1]) == expected
