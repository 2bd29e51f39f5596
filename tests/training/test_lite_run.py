"""Runs of the lite network: their teacher, and that they are resumed exactly."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from refusion import Task, UsageError, WeightsError
from refusion.models import Model
from refusion.models.checkpoints import load_network
from refusion.models.lite import LiteModule
from refusion.training.loop import STATE
from refusion.training.run import Request, start_or_resume
from refusion.weights import shipped_weights

SETTINGS = (
    "epochs=2",
    "lessons=3",
    "fusion_steps=4",
    "batch=2",
    "patch_px=32",
    "distillation_factor=20",
    "information_factor=0",
    "validation_pairs=2",
    "validation_every=2",
    "cache=off",
    "device=cpu",
    "threads=1",
)


def lite(data: Path, run: Path, *changes: str) -> Request:
    return Request(run, Task.ivif, (data,), settings=(*SETTINGS, *changes), model=Model.lite)


def test_a_run_learns_from_the_shipped_weights_and_is_resumed_exactly(data: Path, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    records = list(start_or_resume(lite(data, whole)))
    assert [set(record) & {"fusion_loss", "distillation_loss", "score"} for record in records] == [
        {"fusion_loss", "distillation_loss"},
        {"fusion_loss", "distillation_loss", "score"},
    ]
    settings = json.loads((whole / "settings.json").read_text())
    files = shipped_weights(Task.ivif).manifest["files"]
    assert settings["teacher"] == [files["safetensors"], files["proposal"]]
    assert settings["configuration"]["model"] == "lite"

    first = start_or_resume(lite(data, cut))
    next(first)
    first.close()
    list(start_or_resume(Request(cut, resume=True)))
    ends = [load_network(run / STATE) for run in (whole, cut)]
    assert all(isinstance(end, LiteModule) for end in ends)
    states = [end.state_dict() for end in ends]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_the_lite_network_learns_from_a_run_of_the_full_one(data: Path, tmp_path: Path) -> None:
    full = Request(
        tmp_path / "full", Task.ivif, (data,), settings=("epochs=1", "meta_steps=2", *SETTINGS[1:])
    )
    list(start_or_resume(full))
    taught = replace(lite(data, tmp_path / "lite", "epochs=1"), teacher=tmp_path / "full" / STATE)
    list(start_or_resume(taught))
    settings = json.loads((tmp_path / "lite" / "settings.json").read_text())
    assert [entry["name"] for entry in settings["teacher"]] == [STATE]
    other = replace(full, run=tmp_path / "other", start_from=tmp_path / "lite" / STATE)
    with pytest.raises(WeightsError, match="cannot be started from"):
        list(start_or_resume(other))


def test_mistakes_are_named(data: Path, tmp_path: Path) -> None:
    weights = shipped_weights(Task.ivif).safetensors
    run = lite(data, tmp_path / "run")
    for request, message in (
        (replace(run, teacher=weights), "holds no loss proposal module"),
        (replace(run, model=None, teacher=weights), "only the lite network has a teacher: give --model lite"),
        (replace(run, settings=("workers=2",)), "made in the training process: set workers=0, not 2"),
    ):
        with pytest.raises(UsageError, match=message):
            list(start_or_resume(request))
    with pytest.raises(WeightsError, match="holds the full network; this run trains the other"):
        list(start_or_resume(replace(run, start_from=weights)))
    first = start_or_resume(run)
    next(first)
    first.close()
    for changes, message in (
        ({"model": Model.lite}, "leave out --model lite"),
        ({"teacher": weights}, "--resume has the teacher of the run; leave out --teacher"),
    ):
        with pytest.raises(UsageError, match=message):
            list(start_or_resume(replace(Request(tmp_path / "run", resume=True), **changes)))
