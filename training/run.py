"""Starting and resuming a run: its folder, its data, its manifest."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from refusion.errors import InputError, OutputError, UsageError
from refusion.files import make_folder
from refusion.tasks import Task
from refusion.training.configuration import TrainingConfiguration
from refusion.training.data import load_pairs
from refusion.training.loop import Trainer


def start_or_resume(
    task: Task, data: Path, run: Path, settings: Sequence[str], *, resume: bool
) -> Iterator[dict[str, float]]:
    """Train in the run folder; yield the record of each epoch.

    Args:
        task: What is trained.
        data: Folder of the data.
        run: Folder of the run: settings.json, losses.jsonl, state.pt.
        settings: `key=value` overrides; none with resume, which keeps the run's own.
        resume: Go on with the run instead of starting one.

    Raises:
        UsageError, InputError, OutputError: Bad settings, bad data, or a run folder that does not fit.
    """
    record = run / "settings.json"
    if resume:
        if settings:
            raise UsageError("--resume keeps the settings of the run; leave out " + " ".join(settings))
        configuration = _configuration_of(run)
    else:
        if (run / "state.pt").exists():
            raise OutputError(f"{run} holds a run already; give --resume to go on with it, or another folder")
        configuration = TrainingConfiguration().override(settings)
    if configuration.threads:
        torch.set_num_threads(configuration.threads)
    pairs = load_pairs(data, task, configuration.patch_px)
    training, validation = pairs.split(configuration.validation_pairs, configuration.seed)
    make_folder(run)
    if not resume:
        content = {
            "task": task.name,
            "commit": _commit(),
            "torch": torch.__version__,
            "data": str(data),
            "training_pairs": len(training.names),
            "validation_pairs": validation.names,
            "configuration": dataclasses.asdict(configuration),
        }
        record.write_text(json.dumps(content, indent=1) + "\n")
    trainer = Trainer(configuration, training, run)
    if resume:
        trainer.load()
    yield from trainer.train()


def _configuration_of(run: Path) -> TrainingConfiguration:
    if not (run / "state.pt").is_file():
        raise InputError(f"there is no run to resume in {run}")
    record = run / "settings.json"
    try:
        return TrainingConfiguration.of_record(json.loads(record.read_text())["configuration"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, UsageError) as error:
        raise InputError(f"{record} is missing or damaged: {error}") from None


def _commit() -> str | None:
    """Return the commit of the checkout that this code runs from, with -dirty where it was changed."""
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
