from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from refusion import InputError, OutputError, Task, UsageError, WeightsError
from refusion.files import read_image, write_image
from refusion.models.checkpoints import save_network
from refusion.models.fusion import FusionModule
from refusion.training.model_card import COLUMNS, write_card
from refusion.training.reports import Record
from refusion.training.run import Request, start_or_resume
from refusion.training.shipping import ship

SETTINGS = (
    "epochs=3",
    "meta_steps=2",
    "fusion_steps=2",
    "batch=1",
    "patch_px=16",
    # Patches this small are too small for VIF, and what processes share is exact for the paper's loss.
    "structure_factor=0",
    "information_factor=0",
    "edge_factor=0",
    "difference_factor=0",
    "validation_pairs=1",
    "validation_every=3",
    "image_panels_every=0",
    "cache=off",
    "threads=1",
    "device=cpu",
)

METRICS = dict.fromkeys(COLUMNS, 0.5)


def first_record(request: Request) -> Record:
    """Start or resume, and leave after an epoch."""
    records = start_or_resume(request)
    try:
        return next(records)
    finally:
        records.close()


def new(data: Path, run: Path, *changes: str) -> Request:
    return Request(run, Task.ivif, (data,), settings=(*SETTINGS, *changes))


def test_a_run_is_started_resumed_and_shipped(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    first_record(new(data, run))
    rest = list(start_or_resume(Request(run, resume=True, settings=("checkpoint_minutes=1",))))
    assert [record["epoch"] for record in rest] == [2, 3]
    lines = [json.loads(line) for line in (run / "losses.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert lines[1:] == rest
    assert ["score" in line for line in lines] == [False, False, True]
    settings = json.loads((run / "settings.json").read_text())
    assert (settings["task"], settings["data_folders"], settings["training_pairs"]) == (
        "ivif",
        [str(data)],
        11,
    )
    assert settings["configuration"]["checkpoint_minutes"] == 1

    folder = tmp_path / "weights"
    folder.mkdir()
    ship(
        run,
        Task.ivif,
        summary="a test",
        evaluations={"set/ours": {"mean": METRICS, "pairs": {}}},
        state=run / "best.pt",
        folder=folder,
    )
    manifest = json.loads((folder / "ivif.json").read_text())
    assert manifest["training"]["epochs_done"] == 3
    assert manifest["training"]["training_pairs"] == 11
    assert {path.name for path in folder.iterdir()} == {
        "ivif.json",
        "ivif.onnx",
        "ivif.safetensors",
        "ivif-proposal.safetensors",
    }

    write_card(folder)
    card = (folder / "README.md").read_text()
    assert "3 epochs of 2 fusion steps, the first 3 with 2 meta steps" in card
    assert "| set | ours | 0.500 |" in card


def test_requests_that_do_not_fit_the_run(data: Path, tmp_path: Path) -> None:
    run, other = tmp_path / "run", tmp_path / "other"
    first_record(new(data, run))
    for folder in ("ir", "vis"):
        (other / folder).mkdir(parents=True)
        for name in ("00", "01", "02"):
            os.link(data / folder / f"{name}.png", other / folder / f"{name}.png")
    for request, kind, message in (
        (
            new(data, run),
            OutputError,
            "holds a run already; give --resume to go on with it, or another folder",
        ),
        (Request(tmp_path / "none"), UsageError, "a new run needs data: give --data DIR"),
        (Request(tmp_path / "none", resume=True), InputError, "there is no run to resume in"),
        (
            Request(run, resume=True, settings=("epochs=3", "threads=1")),
            UsageError,
            r"--resume keeps the settings of the run; leave out epochs=3 \(what may change: device,",
        ),
        (Request(run, resume=True, config=data), UsageError, "leave out --config"),
        (Request(run, Task.mif, resume=True), UsageError, "trains ivif; leave out --task mif"),
        (
            Request(run, data=(other,), resume=True),
            InputError,
            "the data are not those that .* was started with: 2 pairs for training in .*other, 11 then",
        ),
        (
            new(data, tmp_path / "big", "validation_pairs=12"),
            InputError,
            "12 pairs are too few to hold 12 out",
        ),
        (new(data, data / "ir" / "00.png"), OutputError, "it is a file, not a folder"),
    ):
        with pytest.raises(kind, match=message):
            first_record(request)


def test_a_damaged_run_is_refused(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    first_record(new(data, run))
    state = (run / "state.pt").read_bytes()
    (run / "state.pt").write_bytes(state[:-2000])
    with pytest.raises(WeightsError, match="state.pt cannot be resumed from"):
        first_record(Request(run, resume=True))
    settings = json.loads((run / "settings.json").read_text())
    changes = (
        *({"configuration": value} for value in ({"epoch": 3}, {"epochs": "3.5"}, [])),
        *({"task": value} for value in ("nope", 3)),
        *({"data_folders": value} for value in ("data", [3])),
    )
    texts = [json.dumps({**settings, **change}) for change in changes]
    for text in (*texts, "[]", "[" * 100_000):
        (run / "settings.json").write_text(text)
        with pytest.raises(InputError, match="settings.json is missing or damaged"):
            first_record(Request(run, resume=True))


def test_the_schedule_of_the_task_is_the_default_and_a_file_replaces_it(data: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("patch_px: 32\nepochs: 7\ncache: off\n")
    # Data that no run can start with end it as soon as the settings are known.
    for config, message in (
        (None, "smaller than a patch of 128"),
        (own, "12 pairs are too few to hold 16 out"),
    ):
        with pytest.raises(InputError, match=message):
            first_record(Request(tmp_path / "run", Task.ivif, (data,), config, settings=("cache=off",)))


def test_validation_needs_images_that_the_metrics_can_measure(data: Path, tmp_path: Path) -> None:
    for path in data.rglob("*.png"):
        write_image(path, read_image(path)[:40], force=True)
    with pytest.raises(
        InputError, match=r"validation needs images of at least 41x41 pixels; smaller: \d\d \("
    ):
        first_record(new(data, tmp_path / "run"))


def test_folders_of_data_are_joined(data: Path, tmp_path: Path) -> None:
    request = Request(
        tmp_path / "run", Task.ivif, (data, data), settings=(*SETTINGS, "epochs=1", "meta_steps=0")
    )
    first_record(request)
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert settings["training_pairs"] == 23
    assert settings["data"] == f"{data}, {data}"


def test_a_manifest_names_pairs_without_the_folders_of_the_machine(data: Path, tmp_path: Path) -> None:
    run, folder = tmp_path / "run", tmp_path / "weights"
    folder.mkdir()
    first_record(Request(run, Task.ivif, (data, data), settings=(*SETTINGS, "epochs=1", "meta_steps=0")))
    ship(run, Task.ivif, summary="a test", evaluations={}, data="test pairs", folder=folder)
    text = (folder / "ivif.json").read_text()
    assert str(data) not in text
    held_out = json.loads(text)["training"]["validation_pairs"]
    assert len(held_out) > 0
    assert all(name.startswith(f"{data.name}/") for name in held_out)


def test_synthetic_pairs_are_for_the_tasks_that_have_them(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="synthetic pairs are made for .*, not for ivif"):
        first_record(new(data, tmp_path / "run", "synthetic=0.5"))


def comparable(run: Path) -> list[Record]:
    lines = (run / "losses.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


def test_a_killed_run_goes_on_exactly(data: Path, tmp_path: Path) -> None:
    settings = (*SETTINGS, "epochs=2", "fusion_steps=10", "validation_every=1", "checkpoint_minutes=1e-9")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert len(list(start_or_resume(Request(whole, Task.ivif, (data,), settings=settings)))) == 2

    command = [sys.executable, "-m", "refusion.training", "--data", str(data), "-o", str(killed), *settings]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 300
        while step_of(killed) < ("fusion", 3) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.stderr is not None
        errors = process.stderr.read()
    assert process.returncode == -signal.SIGKILL, errors
    list(start_or_resume(Request(killed, resume=True)))
    assert comparable(killed) == comparable(whole)
    ends = [torch.load(run / "state.pt", weights_only=True)["modules"] for run in (whole, killed)]
    assert all(torch.equal(value, ends[1][name]) for name, value in ends[0].items())


def step_of(run: Path) -> tuple[str, int]:
    """Return phase and step of a checkpoint; ("", 0) where there is none, ("meta", ...) counts as before."""
    if not (run / "state.pt").exists():
        return "", 0
    state = torch.load(run / "state.pt", weights_only=True)
    return ("fusion", state["step"]) if state["phase"] == "fusion" else ("", 0)


def test_progress_is_a_line_an_epoch_and_says_the_time_left(data: Path, tmp_path: Path) -> None:
    settings = (*SETTINGS, "epochs=2", "meta_steps=1", "fusion_steps=1", "validation_pairs=0")
    command = [sys.executable, "-m", "refusion.training", "--data", str(data), "-o", "run", *settings]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith("epoch 1/2  meta_fusion_loss 0.")
    assert first.endswith(" left")
    assert second.endswith(", 0 s left")
    assert done.stderr == ""


@pytest.mark.parametrize("suffix", ["state.pt", "safetensors"])
def test_a_run_goes_on_from_the_weights_of_another(suffix: str, data: Path, tmp_path: Path) -> None:
    first = tmp_path / "first"
    first_record(new(data, first))
    weights = first / "state.pt"
    before = torch.load(weights, weights_only=True)["modules"]
    if suffix == "safetensors":
        module = FusionModule()
        module.load_state_dict(
            {name.removeprefix("fusion."): v for name, v in before.items() if name.startswith("fusion.")}
        )
        weights = tmp_path / "fusion.safetensors"
        save_network(module, weights, task="ivif")
    request = dataclasses.replace(
        new(data, tmp_path / "second", "learning_rate=1e-12", "final_learning_rate=1e-12", "epochs=1"),
        start_from=weights,
    )
    list(start_or_resume(request))
    after = torch.load(tmp_path / "second" / "state.pt", weights_only=True)["modules"]
    assert torch.allclose(after["fusion.output.weight"], before["fusion.output.weight"], atol=1e-8)
    name = "reconstruction.input.weight"
    assert torch.allclose(after[name], before[name], atol=1e-8) is (suffix == "state.pt")
    settings = json.loads((tmp_path / "second" / "settings.json").read_text())
    assert settings["started_from"]["name"] == weights.name


def test_weights_to_start_from_must_be_there_and_whole(data: Path, tmp_path: Path) -> None:
    missing = dataclasses.replace(new(data, tmp_path / "run"), start_from=tmp_path / "none.pt")
    with pytest.raises(InputError, match=r"there is no file .*none.pt to start from"):
        list(start_or_resume(missing))
    junk = tmp_path / "junk.pt"
    junk.write_bytes(b"no weights")
    with pytest.raises(WeightsError, match=r"junk.pt cannot be started from"):
        list(start_or_resume(dataclasses.replace(missing, start_from=junk)))
    first_record(new(data, tmp_path / "other"))
    with pytest.raises(UsageError, match="leave out --start-from"):
        list(start_or_resume(Request(tmp_path / "other", resume=True, start_from=junk)))
