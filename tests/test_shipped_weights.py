"""What ships: files of every task and network, and that the lite network does what the full one does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from refusion import Fuser, Task, WeightsError
from refusion.files import read_image
from refusion.metrics.structure import structural_similarity
from refusion.models import Model
from refusion.ops.reference import luma
from refusion.weights import read_manifest, shipped_weights

PAIRS = {
    Task.ivif: ("ivif/test/ir", "ivif/test/vis"),
    Task.mif: ("mif/test/ct_mri/ct", "mif/test/ct_mri/mri"),
    Task.mfif: ("mff/test/near", "mff/test/far"),
    Task.meif: ("mef/test/under", "mef/test/over"),
}
SIDE_PX = 256


@pytest.mark.parametrize("model", Model)
@pytest.mark.parametrize("task", Task)
def test_manifests_say_what_was_trained_and_how_good_it_is(task: Task, model: Model) -> None:
    files = shipped_weights(task, model)
    manifest = files.manifest
    assert (manifest["task"], manifest["architecture"]) == (task.name, model.value.architecture)
    assert manifest["training"]["configuration"].get("model", "full") in ("full", model.name)
    sets = {name.partition("/")[0] for name in manifest["metrics"]}
    own = "ours" if model is Model.full else "lite"
    assert {f"{name}/{own}" for name in sets} <= manifest["metrics"].keys()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[" * 100_000,
        '{"files": {"onnx": 3}}',
        '{"files": {"onnx": {"name": "../a.onnx", "sha256": ""}}}',
        '{"files": {"onnx": {"name": 3, "sha256": ""}}}',
    ],
)
def test_a_damaged_manifest_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "ivif.json").write_text(content)
    with pytest.raises(WeightsError, match=r"ivif.json is no manifest of weights \(.*\); reinstall refusion"):
        read_manifest(tmp_path / "ivif.json")


@pytest.mark.parametrize("task", Task)
def test_the_lite_manifests_teacher_is_the_shipped_one(task: Task) -> None:
    files = shipped_weights(task).manifest["files"]
    training = shipped_weights(task, Model.lite).manifest["training"]
    assert training["teacher"] == [files["safetensors"], files["proposal"]]


@pytest.mark.parametrize("task", Task)
def test_lite_weights_are_the_full_ones_unless_they_were_trained_further(task: Task) -> None:
    full, lite = (shipped_weights(task, model) for model in Model)
    tensors, inner = load_file(full.safetensors), load_file(lite.safetensors)
    same = all(np.array_equal(value, inner[f"fusion.{name}"]) for name, value in tensors.items())
    configuration = lite.manifest["training"]["configuration"]
    assert same == (configuration.get("model", "full") == "full")


@pytest.mark.parametrize("task", Task)
def test_lite_pictures_are_near_the_full_networks(shared: Path, task: Task) -> None:
    a_folder, b_folder = (shared / "data" / folder for folder in PAIRS[task])
    likeness = []
    with Fuser(task) as full, Fuser(task, model="lite") as lite:
        for path in sorted(a_folder.iterdir())[:3]:
            (b_path,) = b_folder.glob(f"{path.stem}.*")
            a, b = (np.ascontiguousarray(read_image(source)[:SIDE_PX, :SIDE_PX]) for source in (path, b_path))
            pictures = [luma(fuser(a, b)).astype(np.float64) for fuser in (full, lite)]
            likeness.append(structural_similarity(*pictures))
    assert np.mean(likeness) > 0.8
