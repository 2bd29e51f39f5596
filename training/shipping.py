"""Turns a training run into shipped weights: safetensors, ONNX and a manifest that says where they come from.

python -m refusion.training.shipping [RUN] --task ivif --summary TEXT [--notes TEXT ...]
    [--data TEXT] [--before RUN ...] [--state FILE] [--metrics SET/METHOD=EVAL.json ...]

Without RUN it is the lite network with the shipped full weights as they are. EVAL.json is what `refusion eval
--json` writes. Where a set has our weights (METHOD "ours") and another method, they are also compared pair by
pair. METHODs of the lite network are "lite" and "full".
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from refusion.errors import InputError
from refusion.export.onnx_model import OnnxRequest, export_onnx
from refusion.models.checkpoints import FusionNetwork, load_fusion, load_network, model_of, save_network
from refusion.models.fusion import FusionModule
from refusion.models.lite import LiteModule
from refusion.models.proposal import LossProposal
from refusion.tasks import Task
from refusion.training.loop import STATE
from refusion.training.teacher import Teacher, save_proposal
from refusion.weights import FOLDER, sha256, shipped_weights

OURS = "ours"
GOALS = ("SCD", "VIF", "Qabf", "SSIM")
"""Metrics that methods are compared by, pair by pair: the others follow contrast alone."""


def ship(
    run: Path,
    task: Task,
    *,
    summary: str,
    notes: Sequence[str] = (),
    evaluations: Mapping[str, Any],
    data: str | None = None,
    before: Sequence[Path] = (),
    state: Path | None = None,
    folder: Path = FOLDER,
) -> None:
    """Write the run's fusion network and its manifest to the folder of shipped weights.

    Of a full network's run the loss proposal module is written, too: the lite network learns from both.

    Args:
        run: Folder of the run, with settings.json.
        task: What it was trained for.
        summary: One line for people.
        notes: What people should know besides: terms of the data, limits.
        evaluations: What `refusion eval --json` wrote, by "test set/method".
        data: The data as people know it; the folder that the run was given if None.
        before: Folders of the runs whose weights this one started from, the first one first.
        state: Checkpoint of the run to ship; its last one if None.
        folder: Where to write.

    Raises:
        InputError: The run has no such checkpoint or settings.
        ExportError: The ONNX model does not equal the checkpoint.
    """
    state = state or run / STATE
    record = _read(run, state, data)
    network = load_network(state)
    proposal = Teacher.read(state).proposal if isinstance(network, FusionModule) else None
    training = {**record, "before": [_read(first, first / STATE, data) for first in before]}
    _write(network, task, training, summary, notes, evaluations, folder, proposal)


def ship_full_as_lite(
    task: Task,
    *,
    summary: str,
    notes: Sequence[str] = (),
    evaluations: Mapping[str, Any],
    folder: Path = FOLDER,
) -> None:
    """Write the lite network of a task with the shipped full weights as they are; arguments as in `ship`.

    Raises:
        WeightsError: There are no full weights.
        ExportError: The ONNX model does not equal the checkpoint.
    """
    full = shipped_weights(task)
    entries = full.manifest["files"]
    network = LiteModule.of(load_fusion(full.safetensors))
    training = {**full.manifest["training"], "teacher": [entries["safetensors"], entries["proposal"]]}
    _write(network, task, training, summary, notes, evaluations, folder)


def _write(
    network: FusionNetwork,
    task: Task,
    training: Mapping[str, Any],
    summary: str,
    notes: Sequence[str],
    evaluations: Mapping[str, Any],
    folder: Path,
    proposal: LossProposal | None = None,
) -> None:
    model = model_of(network).value
    name = f"{task.name}{model.suffix}"
    files = {kind: folder / f"{name}.{kind}" for kind in ("safetensors", "onnx")}
    save_network(network, files["safetensors"], task=task.name)
    export_onnx(OnnxRequest(files["safetensors"], task), files["onnx"], force=True)
    if proposal is not None:
        files["proposal"] = folder / f"{name}-proposal.safetensors"
        save_proposal(proposal, files["proposal"], task=task.name)
    manifest = {
        "task": task.name,
        "architecture": model.architecture,
        "summary": summary,
        "notes": list(notes),
        "files": {kind: {"name": path.name, "sha256": sha256(path)} for kind, path in files.items()},
        "training": training,
        "metrics": {name: evaluation["mean"] for name, evaluation in evaluations.items()},
        "wins": compare_pairs(evaluations),
    }
    (folder / f"{name}.json").write_text(json.dumps(manifest, indent=1) + "\n")


def _read(run: Path, state: Path, data: str | None) -> dict[str, Any]:
    """Return a run's settings as a manifest has them: without this machine's folders."""
    for needed in (state, run / "settings.json"):
        if not needed.is_file():
            raise InputError(f"{needed} is missing: is {run} the folder of a run?")
    content = torch.load(state, map_location="cpu", weights_only=True)
    settings = json.loads((run / "settings.json").read_text())
    folders = settings.pop("data_folders", [])
    names = [_short_name(name, folders) for name in settings.get("validation_pairs", [])]
    return {
        **settings,
        "data": data or settings["data"],
        "validation_pairs": names,
        "epochs_done": content["epoch"],
    }


def _short_name(pair: str, folders: Sequence[str]) -> str:
    """Return a pair's name with the last part alone of the folder of data that it begins with, if it does."""
    for folder in folders:
        if pair.startswith(f"{folder}/"):
            return f"{Path(folder).name}{pair.removeprefix(folder)}"
    return pair


def compare_pairs(evaluations: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Return for each "test set/other method" on how many pairs ours has the higher metric."""
    wins = {}
    for name, other in evaluations.items():
        test_set, _, method = name.partition("/")
        ours = evaluations.get(f"{test_set}/{OURS}")
        if method == OURS or ours is None:
            continue
        common = ours["pairs"].keys() & other["pairs"].keys()
        wins[name] = {"pairs": len(common)} | {
            metric: sum(ours["pairs"][pair][metric] > other["pairs"][pair][metric] for pair in common)
            for metric in GOALS
        }
    return wins


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line and ship."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, nargs="?", help="folder of the run; none: lite with full weights")
    parser.add_argument("--task", default="ivif")
    parser.add_argument("--before", type=Path, nargs="*", default=[], help="runs that this one started from")
    parser.add_argument("--state", type=Path, help="checkpoint to ship instead of the run's last")
    parser.add_argument("--data", help="the training data as people know it")
    parser.add_argument("--summary", required=True)
    parser.add_argument("--notes", nargs="*", default=[])
    parser.add_argument("--metrics", nargs="*", default=[], metavar="NAME=EVAL.json")
    options = parser.parse_args(arguments)
    evaluations = {}
    for item in options.metrics:
        name, _, path = item.partition("=")
        evaluations[name] = json.loads(Path(path).read_text())
    task = Task.parse(options.task)
    described: dict[str, Any] = {
        "summary": options.summary,
        "notes": options.notes,
        "evaluations": evaluations,
    }
    if options.run is None:
        ship_full_as_lite(task, **described)
    else:
        ship(
            options.run,
            task,
            data=options.data,
            before=options.before,
            state=options.state,
            **described,
        )


if __name__ == "__main__":
    main()
