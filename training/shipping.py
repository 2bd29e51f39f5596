"""Turns a training run into shipped weights: safetensors, ONNX and a manifest that says where they come from.

python -m refusion.training.shipping RUN --task ivif --summary TEXT [--notes TEXT ...]
    [--state FILE] [--metrics SET/METHOD=EVAL.json ...]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from refusion.errors import InputError
from refusion.export import export_onnx
from refusion.models.checkpoints import ARCHITECTURE, save_fusion
from refusion.models.fusion import FusionModule
from refusion.tasks import Task
from refusion.weights import FOLDER, sha256


def ship(
    run: Path,
    task: Task,
    *,
    summary: str,
    notes: Sequence[str] = (),
    metrics: dict[str, Any],
    state: Path | None = None,
    folder: Path = FOLDER,
) -> None:
    """Write the run's fusion module and its manifest to the folder of shipped weights.

    Args:
        run: Folder of the run, with settings.json.
        task: What it was trained for.
        summary: One line for people.
        notes: What people should know besides: terms of the data, limits.
        metrics: Mean metrics by test set and method.
        state: Checkpoint of the run to ship; its last one if None.
        folder: Where to write.

    Raises:
        InputError: The run has no such checkpoint or settings.
        ExportError: The ONNX model does not equal the checkpoint.
    """
    state = state or run / "state.pt"
    for needed in (state, run / "settings.json"):
        if not needed.is_file():
            raise InputError(f"{needed} is missing: is {run} the folder of a run?")
    content = torch.load(state, map_location="cpu", weights_only=True)
    prefix = "fusion."
    module = FusionModule()
    module.load_state_dict(
        {name.removeprefix(prefix): v for name, v in content["modules"].items() if name.startswith(prefix)}
    )
    safetensors, onnx = folder / f"{task.name}.safetensors", folder / f"{task.name}.onnx"
    save_fusion(module, safetensors, task=task.name)
    export_onnx(safetensors, onnx, task=task, force=True)
    manifest = {
        "task": task.name,
        "architecture": ARCHITECTURE,
        "summary": summary,
        "notes": list(notes),
        "files": {
            kind: {"name": path.name, "sha256": sha256(path)}
            for kind, path in (("safetensors", safetensors), ("onnx", onnx))
        },
        "training": {**json.loads((run / "settings.json").read_text()), "epochs_done": content["epoch"]},
        "metrics": metrics,
    }
    (folder / f"{task.name}.json").write_text(json.dumps(manifest, indent=1) + "\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line and ship."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--task", default="ivif")
    parser.add_argument("--state", type=Path, help="checkpoint to ship instead of the run's last")
    parser.add_argument("--summary", required=True)
    parser.add_argument("--notes", nargs="*", default=[])
    parser.add_argument("--metrics", nargs="*", default=[], metavar="NAME=EVAL.json")
    options = parser.parse_args(arguments)
    metrics = {}
    for item in options.metrics:
        name, _, path = item.partition("=")
        metrics[name] = json.loads(Path(path).read_text())["mean"]
    ship(
        options.run,
        Task.parse(options.task),
        summary=options.summary,
        notes=options.notes,
        metrics=metrics,
        state=options.state,
    )


if __name__ == "__main__":
    main()
