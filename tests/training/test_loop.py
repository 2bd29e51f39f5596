from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from refusion import InputError, OutputError, Task, UsageError, WeightsError
from refusion.files import write_image
from refusion.training.configuration import TrainingConfiguration
from refusion.training.data import PairSet
from refusion.training.loop import DivergenceError, Trainer
from refusion.training.model_card import COLUMNS, write_card
from refusion.training.run import start_or_resume
from refusion.training.shipping import ship

SETTINGS = ("epochs=3", "meta_steps=2", "fusion_steps=2", "batch=1", "patch_px=16", "validation_pairs=2")

METRICS = dict.fromkeys(COLUMNS, 0.5)


def trainer(pairs: PairSet, run: Path, *changes: str) -> Trainer:
    return Trainer(TrainingConfiguration().override([*SETTINGS, *changes]), pairs, run)


def losses(records: Sequence[dict[str, float]]) -> list[dict[str, float]]:
    return [{name: v for name, v in record.items() if name != "seconds"} for record in records]


def test_a_resumed_run_equals_an_uninterrupted_one(pairs: PairSet, tmp_path: Path) -> None:
    expected = losses(list(trainer(pairs, tmp_path / "whole").train()))
    cut = trainer(pairs, tmp_path / "cut")
    first = next(cut.train())
    resumed = trainer(pairs, tmp_path / "cut", "seed=0")
    resumed.load()
    assert losses([first, *resumed.train()]) == expected
    whole = trainer(pairs, tmp_path / "whole")
    whole.load()
    for name, value in whole.steps.modules.state_dict().items():
        assert torch.equal(resumed.steps.modules.state_dict()[name], value), name


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
    with pytest.raises(DivergenceError, match="is not finite in epoch 1; the last state is kept"):
        next(records)
    assert (tmp_path / "state.pt").read_bytes() == kept


@pytest.fixture
def data(pairs: PairSet, tmp_path: Path) -> Path:
    for index, folder in enumerate(("ir", "vis")):
        (tmp_path / "data" / folder).mkdir(parents=True)
        for name, pair in zip(pairs.names, pairs, strict=True):
            write_image(tmp_path / "data" / folder / f"{name}.png", (255 * pair[index]).astype("uint8"))
    return tmp_path / "data"


def test_a_run_is_started_resumed_and_shipped(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    records = start_or_resume(Task.ivif, data, run, SETTINGS, resume=False)
    next(records)
    with pytest.raises(OutputError, match="holds a run already; give --resume"):
        next(start_or_resume(Task.ivif, data, run, SETTINGS, resume=False))
    with pytest.raises(UsageError, match="--resume keeps the settings of the run; leave out epochs=3"):
        next(start_or_resume(Task.ivif, data, run, SETTINGS, resume=True))
    with pytest.raises(InputError, match="there is no run to resume"):
        next(start_or_resume(Task.ivif, data, tmp_path / "none", (), resume=True))
    rest = list(start_or_resume(Task.ivif, data, run, (), resume=True))
    assert [record["epoch"] for record in rest] == [2, 3]

    folder = tmp_path / "weights"
    folder.mkdir()
    ship(
        run,
        Task.ivif,
        summary="a test",
        evaluations={"set/ours": {"mean": METRICS, "pairs": {}}},
        folder=folder,
    )
    manifest = json.loads((folder / "ivif.json").read_text())
    assert manifest["training"]["epochs_done"] == 3
    assert manifest["training"]["training_pairs"] == 10
    assert {path.name for path in folder.iterdir()} == {"ivif.json", "ivif.onnx", "ivif.safetensors"}

    write_card(folder)
    card = (folder / "README.md").read_text()
    assert "3 epochs of 2 meta steps and 2 fusion" in card
    assert "| set | ours | 0.500 |" in card


def test_a_damaged_run_is_refused(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    next(start_or_resume(Task.ivif, data, run, SETTINGS, resume=False))
    state = (run / "state.pt").read_bytes()
    for damaged in (b"", state[:-2000], b"junk" * 100):
        (run / "state.pt").write_bytes(damaged)
        with pytest.raises(WeightsError, match="state.pt cannot be resumed from"):
            next(start_or_resume(Task.ivif, data, run, (), resume=True))
    (run / "settings.json").write_text('{"configuration": {"epoch": 3}}')
    with pytest.raises(InputError, match="settings.json is missing or damaged"):
        next(start_or_resume(Task.ivif, data, run, (), resume=True))
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="it is a file, not a folder"):
        next(start_or_resume(Task.ivif, data, tmp_path / "file", SETTINGS, resume=False))


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
