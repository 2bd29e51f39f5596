"""Writes the model card of the shipped weights, refusion/weights/README.md, from their manifests.

python -m refusion.training.model_card
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from refusion.tasks import Task
from refusion.weights import FOLDER

COLUMNS = ("EN", "SD", "SF", "AG", "MI", "SCD", "VIF", "Qabf", "SSIM", "CC")

HEAD = """# Model card

Written by `python -m refusion.training.model_card` from the manifests beside it. Each task has
`TASK.safetensors` (the checkpoint), `TASK.onnx` (the same, FP32, verified against PyTorch) and
`TASK.json` (the manifest: hashes, data, settings, seed, commit, metrics). Metrics are means over the pairs
of a test set, by `refusion eval`.
"""


def section(manifest: dict[str, Any]) -> str:
    """Return the card's section on one task."""
    task, training = Task.parse(manifest["task"]), manifest["training"]
    settings = training["configuration"]
    lines = [
        f"## {task.name}: {task.value.title}",
        "",
        manifest["summary"],
        "",
        f"- Data: {training['data']} ({training['training_pairs']} for training, "
        f"{len(training['validation_pairs'])} held out for validation).",
        f"- Training: {training['epochs_done']} epochs of {settings['meta_steps']} meta steps and "
        f"{settings['fusion_steps']} fusion + reconstruction steps; patches of {settings['patch_px']} "
        f"pixels, {settings['batch']} pairs a mini-batch before swapping; seed {settings['seed']}; "
        f"PyTorch {training['torch']}; commit {training['commit']}.",
        *(f"- {note}" for note in manifest["notes"]),
        "",
        f"| test set | method | {' | '.join(COLUMNS)} |",
        f"|---|---|{'---|' * len(COLUMNS)}",
    ]
    for name, values in manifest["metrics"].items():
        test_set, _, method = name.partition("/")
        cells = " | ".join(f"{values[column]:.3f}" for column in COLUMNS)
        lines.append(f"| {test_set} | {method} | {cells} |")
    for name, wins in manifest.get("wins", {}).items():
        test_set, _, method = name.partition("/")
        counts = ", ".join(f"{metric} {wins[metric]}" for metric in wins if metric != "pairs")
        lines += ["", f"Pairs of {wins['pairs']} ({test_set}) on which ours is above {method}: {counts}."]
    return "\n".join(lines) + "\n"


def write_card(folder: Path = FOLDER) -> None:
    """Write the card of all weights in the folder."""
    manifests = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    (folder / "README.md").write_text("\n".join([HEAD, *map(section, manifests)]))


if __name__ == "__main__":
    write_card()
