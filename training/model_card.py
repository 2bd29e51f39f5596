"""Writes the model card of the shipped weights, refusion/weights/README.md, from their manifests.

python -m refusion.training.model_card
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from refusion.models import Model
from refusion.tasks import Task
from refusion.weights import FOLDER

TERMS = ("structure", "edge", "information", "difference")
VARIED = ("photometric", "zoom_out", "synthetic")
COLUMNS = ("EN", "SD", "SF", "AG", "MI", "SCD", "VIF", "Qabf", "SSIM", "CC")

HEAD = """# Model card

Written by `python -m refusion.training.model_card` from the manifests beside it. Each task has
`TASK.safetensors` (the checkpoint), `TASK.onnx` (the same, FP32, verified against PyTorch) and
`TASK.json` (the manifest: hashes, data, settings, seed, commit, metrics); `TASK-lite.*` are those of the
lite network. `TASK-proposal.safetensors` is the loss proposal module of the full network's training: the
lite network learns from it, too. Metrics are means over the pairs of a test set, by `refusion eval`.
"""


def section(manifest: dict[str, Any]) -> str:
    """Return the card's section on one task."""
    task, training = Task.parse(manifest["task"]), manifest["training"]
    is_lite = manifest["architecture"] == Model.lite.value.architecture
    lines = [
        f"## {task.name}{', lite' if is_lite else ''}: {task.value.title}",
        "",
        manifest["summary"],
        "",
        f"- Data: {training['data']} ({training['training_pairs']} for training, "
        f"{len(training['validation_pairs'])} held out for validation).",
        *(f"- Training: {piece(record)}" for record in training.get("before", ())),
        f"- {'Then' if training.get('before') else 'Training'}: {piece(training)}",
        *(f"- {note}" for note in manifest["notes"] if note),
        "",
        f"| test set | method | {' | '.join(COLUMNS)} |",
        f"|---|---|{'---|' * len(COLUMNS)}",
    ]
    metrics = manifest["metrics"]
    for name, values in metrics.items():
        test_set, _, method = name.partition("/")
        cells = " | ".join(f"{values[column]:.3f}" for column in COLUMNS)
        lines.append(f"| {test_set} | {method} | {cells} |")
        full = metrics.get(f"{test_set}/{Model.full.name}")
        if method == Model.lite.name and full is not None:
            shares = " | ".join(f"{values[column] / full[column]:.0%}" for column in COLUMNS)
            lines.append(f"| {test_set} | lite, of full | {shares} |")
    for name, wins in manifest.get("wins", {}).items():
        test_set, _, method = name.partition("/")
        counts = ", ".join(f"{metric} {wins[metric]}" for metric in wins if metric != "pairs")
        lines += ["", f"Pairs of {wins['pairs']} ({test_set}) on which ours is above {method}: {counts}."]
    return "\n".join(lines) + "\n"


def piece(record: dict[str, Any]) -> str:
    """Return what one run did, as a sentence."""
    settings = record["configuration"]
    is_lite = settings.get("model") == Model.lite.name
    meta_epochs = settings.get("meta_epochs") or record["epochs_done"]
    terms = {name: settings.get(f"{name}_factor", 0) for name in TERMS}
    factors = ", ".join(f"{name} {factor:g}" for name, factor in terms.items() if factor)
    varied = ", ".join(f"{name} {settings[name]:g}" for name in VARIED if settings.get(name))
    steps = f"{record['epochs_done']} epochs of {settings['fusion_steps']} fusion steps"
    batch = f"patches of {settings['patch_px']} pixels, {settings['batch']} pairs a mini-batch"
    parts = [
        f"{steps} on {settings['lessons']} lessons"
        if is_lite
        else f"{steps}, the first {meta_epochs} with {settings['meta_steps']} meta steps",
        batch if is_lite else f"{batch} before swapping",
        *(
            [f"distance to the teacher's pictures times {settings['distillation_factor']:g}"]
            if is_lite
            else []
        ),
        f"loss {settings.get('loss', 'learned')}{f' with the terms {factors}' if factors else ''}",
        *([f"data varied: {varied}"] if varied else []),
        f"seed {settings['seed']}",
        f"PyTorch {record['torch']}",
        f"commit {record['commit']}",
    ]
    return "; ".join(parts) + "."


def write_card(folder: Path = FOLDER) -> None:
    """Write the card of all weights in the folder."""
    paths = sorted(folder.glob("*.json"), key=lambda path: path.stem)
    manifests = [json.loads(path.read_text()) for path in paths]
    (folder / "README.md").write_text("\n".join([HEAD, *map(section, manifests)]))


if __name__ == "__main__":
    write_card()
