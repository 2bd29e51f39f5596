"""Writes the model card of the shipped weights, refusion/weights/README.md, from their manifests.

python -m refusion.training.model_card
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from refusion.tasks import Task
from refusion.weights import FOLDER

TERMS = ("structure", "edge", "information", "difference")
VARIED = ("photometric", "zoom_out", "synthetic")
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
    lines = [
        f"## {task.name}: {task.value.title}",
        "",
        manifest["summary"],
        "",
        f"- Data: {training['data']} ({training['training_pairs']} for training, "
        f"{len(training['validation_pairs'])} held out for validation).",
        *(f"- Training: {piece(record)}" for record in training.get("before", ())),
        f"- {'Then' if training.get('before') else 'Training'}: {piece(training)}",
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


def piece(record: dict[str, Any]) -> str:
    """Return what one run did, as a sentence."""
    settings = record["configuration"]
    meta_epochs = settings.get("meta_epochs") or record["epochs_done"]
    terms = {name: settings.get(f"{name}_factor", 0) for name in TERMS}
    factors = ", ".join(f"{name} {factor:g}" for name, factor in terms.items() if factor)
    varied = ", ".join(f"{name} {settings[name]:g}" for name in VARIED if settings.get(name))
    parts = [
        f"{record['epochs_done']} epochs of {settings['fusion_steps']} fusion steps, the first {meta_epochs} "
        f"with {settings['meta_steps']} meta steps",
        f"patches of {settings['patch_px']} pixels, {settings['batch']} pairs a mini-batch before swapping",
        f"loss {settings.get('loss', 'learned')}{f' with the terms {factors}' if factors else ''}",
        *([f"data varied: {varied}"] if varied else []),
        f"seed {settings['seed']}",
        f"PyTorch {record['torch']}",
        f"commit {record['commit']}",
    ]
    return "; ".join(parts) + "."


def write_card(folder: Path = FOLDER) -> None:
    """Write the card of all weights in the folder."""
    manifests = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    (folder / "README.md").write_text("\n".join([HEAD, *map(section, manifests)]))


if __name__ == "__main__":
    write_card()
