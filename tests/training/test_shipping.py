from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refusion import Fuser, Task
from refusion.export import verification
from refusion.models import Model
from refusion.training.model_card import COLUMNS, section
from refusion.training.shipping import compare_pairs, ship_full_as_lite
from refusion.weights import sha256, shipped_weights

SETTINGS = {"meta_steps": 1, "fusion_steps": 2, "patch_px": 64, "batch": 2, "seed": 0}


def evaluation(*values: float) -> dict[str, Any]:
    pairs = {f"{number}": dict.fromkeys(COLUMNS, value) for number, value in enumerate(values)}
    return {"mean": dict.fromkeys(COLUMNS, sum(values) / len(values)), "pairs": pairs}


def test_pairs_are_compared_with_every_other_method_of_the_set() -> None:
    evaluations = {
        "TNO/ours": evaluation(0.5, 0.6, 0.7),
        "TNO/average": evaluation(0.4, 0.6, 0.9),
        "RoadScene/average": evaluation(0.1),
    }
    assert compare_pairs(evaluations) == {
        "TNO/average": {"pairs": 3, "SCD": 1, "VIF": 1, "Qabf": 1, "SSIM": 1}
    }


def test_the_card_states_the_wins() -> None:
    manifest = {
        "task": "mfif",
        "architecture": "refusion-full",
        "summary": "A test.",
        "notes": ["A limit."],
        "training": {
            "data": "some pairs",
            "training_pairs": 3,
            "validation_pairs": ["x"],
            "epochs_done": 1,
            "torch": "2",
            "commit": "abc",
            "configuration": SETTINGS,
            "before": [
                {
                    "epochs_done": 9,
                    "torch": "2",
                    "commit": "abb",
                    "configuration": {**SETTINGS, "meta_epochs": 4, "structure_factor": 3.0, "zoom_out": 0.3},
                }
            ],
        },
        "metrics": {"TNO/ours": dict.fromkeys(COLUMNS, 0.5)},
        "wins": {"TNO/average": {"pairs": 3, "VIF": 1}},
    }
    text = section(manifest)
    assert "Pairs of 3 (TNO) on which ours is above average: VIF 1." in text
    assert "| TNO | ours | 0.500 |" in text
    assert "- A limit." in text
    assert "- Training: 9 epochs of 2 fusion steps, the first 4 with 1 meta steps; patches of 64" in text
    assert "with the terms structure 3; data varied: zoom_out 0.3; seed 0; PyTorch 2; commit abb." in text
    assert "- Then: 1 epochs of 2 fusion steps" in text


def test_the_card_compares_the_lite_network_with_the_full_one() -> None:
    settings = {
        **SETTINGS,
        "model": "lite",
        "lessons": 7,
        "distillation_factor": 100.0,
        "structure_factor": 3.0,
    }
    manifest = {
        "task": "ivif",
        "architecture": "refusion-lite",
        "summary": "A test.",
        "notes": [""],
        "training": {
            "data": "some pairs",
            "training_pairs": 3,
            "validation_pairs": ["x"],
            "epochs_done": 4,
            "torch": "2",
            "commit": "abc",
            "configuration": settings,
        },
        "metrics": {"TNO/lite": dict.fromkeys(COLUMNS, 0.48), "TNO/full": dict.fromkeys(COLUMNS, 0.5)},
    }
    text = section(manifest)
    assert text.startswith("## ivif, lite: infrared + visible\n")
    assert "| TNO | lite | 0.480 |" in text
    assert "| TNO | lite, of full | 96% |" in text
    assert (
        "- Training: 4 epochs of 2 fusion steps on 7 lessons; patches of 64 pixels, 2 pairs a mini-batch; "
        in text
    )
    assert "distance to the teacher's pictures times 100; loss learned with the terms structure 3;" in text
    assert "\n- \n" not in text


def test_the_full_weights_are_shipped_as_lite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed")
    monkeypatch.setattr(verification, "LARGE_SHAPES", ())
    metrics = {"TNO/lite": evaluation(0.5), "TNO/full": evaluation(0.6)}
    ship_full_as_lite(Task.meif, summary="A test.", notes=["A limit."], evaluations=metrics, folder=tmp_path)
    manifest = json.loads((tmp_path / "meif-lite.json").read_text())
    full = shipped_weights(Task.meif).manifest
    assert manifest["architecture"] == Model.lite.value.architecture
    assert manifest["training"].pop("teacher")[0] == full["files"]["safetensors"]
    assert manifest["training"] == full["training"]
    assert manifest["metrics"] == {name: one["mean"] for name, one in metrics.items()}
    files = {kind: tmp_path / entry["name"] for kind, entry in manifest["files"].items()}
    assert {kind: sha256(path) for kind, path in files.items()} == {
        kind: entry["sha256"] for kind, entry in manifest["files"].items()
    }
    a, b = np.random.default_rng(0).integers(0, 256, (2, 40, 60), np.uint8)
    lumas = []
    for path, backend in ((files["onnx"], "onnxruntime"), (files["safetensors"], "torch")):
        with Fuser(Task.meif, weights=path, backend=backend, device="cpu") as fuser:
            lumas.append(fuser.luma(a, b))
    np.testing.assert_allclose(lumas[0], lumas[1], atol=1e-5, rtol=0)
