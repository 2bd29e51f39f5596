"""The weights that we trained and ship: safetensors and ONNX a task and network, with a manifest each."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refusion.errors import WeightsError
from refusion.models import Model
from refusion.tasks import Task

FOLDER = Path(__file__).parent
_KINDS = ("onnx", "safetensors")


@dataclass(frozen=True)
class ShippedWeights:
    """Files of one task's weights, checked against the manifest."""

    task: Task
    onnx: Path
    safetensors: Path
    manifest: dict[str, Any]


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def shipped_weights(task: Task, model: Model = Model.full) -> ShippedWeights:
    """Return the weights that come with the package.

    Raises:
        WeightsError: They are missing from the installation, or a file differs from its manifest.
    """
    path = FOLDER / f"{task.name}{model.value.suffix}.json"
    if not path.is_file():
        official = ", for instance an official ReFusion .pth (it needs torch)" if model is Model.full else ""
        raise WeightsError(
            f"the {model.name} weights for {task.name} ({task.value.title}) are missing from this "
            f"installation; reinstall refusion, or name a file with --weights{official}"
        )
    manifest = read_manifest(path)
    files = {}
    for kind in _KINDS:
        entry = manifest["files"][kind]
        files[kind] = FOLDER / entry["name"]
        if not files[kind].is_file() or sha256(files[kind]) != entry["sha256"]:
            raise WeightsError(f"{files[kind]} is missing or differs from its manifest; reinstall refusion")
    return ShippedWeights(task, files["onnx"], files["safetensors"], manifest)


def read_manifest(path: Path) -> dict[str, Any]:
    """Read a manifest of weights: JSON that names ONNX and safetensors files beside it, with their hashes.

    Raises:
        WeightsError: It is damaged.
    """
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for kind in _KINDS:
            entry = manifest["files"][kind]
            if Path(entry["name"]).name != entry["name"] or not isinstance(entry["sha256"], str):
                raise ValueError(f"its entry '{kind}' names no file beside it, with a hash")
    # RecursionError: JSON nested on purpose.
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise WeightsError(f"{path} is no manifest of weights ({error}); reinstall refusion") from None
    return manifest
