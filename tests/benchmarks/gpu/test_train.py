"""The GPU job, on the CPU with a tiny schedule: two pieces, and the script that starts them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")

import torch

from refusion import Task
from refusion.benchmarks.gpu.folders import COMMIT_FILE
from refusion.benchmarks.gpu.pack import pack
from refusion.benchmarks.gpu.train import RESERVED_SECONDS, train_piece
from refusion.files import read_image, write_image

ROOT = Path(__file__).parents[3]
SETTINGS = (
    "steps=1",
    "meta_steps=1",
    "batch=1",
    "patch_px=16",
    "information_factor=0",
    "validation_pairs=1",
    "validation_px=41",
    "threads=1",
    "device=cpu",
)


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    folder = tmp_path / "packed"
    random = np.random.default_rng(0)
    for source in ("near", "far"):
        (tmp_path / "data" / source).mkdir(parents=True)
        for name in "abc":
            write_image(
                tmp_path / "data" / source / f"{name}.png", random.integers(0, 256, (48, 48), np.uint8)
            )
    pack(Task.mfif, tmp_path / "data", folder)
    (folder / COMMIT_FILE).write_text("0123abc\n")
    return folder


def test_a_run_goes_on_from_piece_to_piece(packed: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    train_piece(Task.mfif, RESERVED_SECONDS, SETTINGS, first, packed)
    state = torch.load(first / "run-mfif" / "state.pt", weights_only=True)
    assert state["epoch"] == 0

    (first / "run-mfif").rename(packed / "run-mfif")
    train_piece(Task.mfif, RESERVED_SECONDS + 600, (), second, packed)
    run = second / "run-mfif"
    assert {path.name for path in run.iterdir()} == {"state.pt", "best.pt", "settings.json", "losses.jsonl"}
    assert torch.load(run / "state.pt", weights_only=True)["epoch"] == 1
    assert json.loads((run / "settings.json").read_text())["configuration"]["patch_px"] == 16
    table = (second / "validation-mfif.md").read_text().splitlines()
    assert table[0].startswith("| epoch | ")
    assert "Qabf" in table[0]
    assert len(table) == 3
    assert read_image(second / "contact-mfif.png").shape[1] == 3 * 260


def test_the_script_runs_from_a_checkout_that_is_not_installed(tmp_path: Path) -> None:
    environment = {name: v for name, v in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        ["bash", str(ROOT / "benchmarks/gpu/run.sh"), "train", "--help"],
        env=environment | {"PYTHON": sys.executable},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "TASK SECONDS" in done.stdout
