"""demo, doctor, eval and train, end to end on tiny inputs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import refusion
from refusion.files import read_image, write_image
from refusion.metrics import METRICS
from refusion.stream.video import VideoReader

Command = Callable[..., Any]
DEMO = ("demo", "-o", "out", "--width", "48", "--height", "48", "--frames", "3")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_demo_writes_four_files_and_the_cost_of_each_stage(cli: Command) -> None:
    outcome = cli(*DEMO)
    assert (outcome.status, outcome.err) == (0, "")
    for stage in ("decode", "pre", "network", "post", "encode", "in all"):
        assert f"\n  {stage} " in outcome.out
    assert names(Path("out")) == ["contact_sheet.png", "fused.mp4", "infrared.mp4", "visible.mp4"]
    for name, has_colour in (("infrared", False), ("visible", True), ("fused", True)):
        with VideoReader(f"out/{name}.mp4") as video:
            assert (video.frame_count, video.size, video.has_colour) == (3, (48, 48), has_colour)
    sheet = read_image(Path("out/contact_sheet.png"))
    assert sheet.shape[0] > 3 * 400
    assert sheet.shape[1] > 3 * 400


def test_demo_replaces_by_force_alone(cli: Command) -> None:
    Path("out").mkdir()
    Path("out/fused.mp4").write_text("precious")
    outcome = cli(*DEMO)
    assert outcome.error_lines == ["error: out/fused.mp4 is there already; give --force to replace it"]
    assert names(Path("out")) == ["fused.mp4"]
    assert cli(*DEMO, "--force").status == 0


def test_doctor_says_what_is_here(cli: Command) -> None:
    outcome = cli("doctor")
    assert (outcome.status, outcome.err) == (0, "")
    for fact in (
        refusion.__version__,
        "OpenCV",
        "backend onnxruntime",
        "backend torch",
        "backend tensorrt",
        "CUDA devices",
        "pycuda",
        "CPUExecutionProvider",
        "cameras",
        "viewer",
        "weights ivif",
        "weights mif",
    ):
        assert fact in outcome.out
    assert "none in engines" in outcome.out


def test_doctor_lists_engines_with_what_keeps_them_from_running(cli: Command) -> None:
    Path("engines").mkdir()
    Path("engines/x.plan").write_bytes(b"junk")
    outcome = cli("doctor")
    assert outcome.status == 0
    assert "engine x.plan" in outcome.out
    assert "it has no record" in outcome.out


def test_eval_writes_every_metric(cli: Command, folders: tuple[Path, Path]) -> None:
    assert cli("fuse", *folders, "-o", "fused").status == 0
    arguments = ("eval", "--a", "ir", "--b", "vis", "--fused", "fused", "--json", "metrics.json")
    outcome = cli(*arguments)
    assert (outcome.status, outcome.err) == (0, "")
    assert "means over 3 pairs" in outcome.out
    content = json.loads(Path("metrics.json").read_text())
    assert list(content["mean"]) == list(METRICS)
    assert sorted(content["pairs"]) == ["0", "1", "2"]
    for name in METRICS:
        assert name in outcome.out
        values = [pair[name] for pair in content["pairs"].values()]
        assert content["mean"][name] == pytest.approx(sum(values) / 3)
    assert cli(*arguments).error_lines == ["error: metrics.json is there already; give --force to replace it"]


def test_train_goes_on_where_it_stopped(cli: Command, folders: tuple[Path, Path]) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    settings = "epochs=1 meta_steps=1 meta_accumulation=1 fusion_steps=1 batch=1 patch_px=16"
    settings += " validation_pairs=1 cache=off information_factor=0"
    outcome = cli("train", "--data", ".", "-o", "run", *settings.split(), "threads=1")
    assert outcome.status == 0, outcome.err
    assert outcome.out.startswith("epoch 1/1  ")
    again = cli("train", "--data", ".", "-o", "run", *settings.split())
    assert again.error_lines == [
        "error: run holds a run already; give --resume to go on with it, or another folder"
    ]
    record = json.loads(Path("run/settings.json").read_text())
    record["configuration"]["epochs"] = 2
    Path("run/settings.json").write_text(json.dumps(record))
    resumed = cli("train", "-o", "run", "--resume")
    assert resumed.status == 0, resumed.err
    assert resumed.out.startswith("epoch 2/2  ")
    assert resumed.out.count("epoch") == 1
    epochs = [json.loads(line)["epoch"] for line in Path("run/losses.jsonl").read_text().splitlines()]
    assert epochs == [1, 2]
    changed = cli("train", "--data", ".", "-o", "run", "--resume", "epochs=3")
    (error,) = changed.error_lines
    assert error.startswith("error: --resume keeps the settings of the run; leave out epochs=3 (")


def test_train_names_every_bad_file_at_once(cli: Command, folders: tuple[Path, Path]) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    (folders[0] / "0.png").write_text("no image")
    write_image(folders[1] / "extra.png", read_image(folders[1] / "1.png"))
    outcome = cli("train", "--data", ".", "-o", "run", "patch_px=16", "cache=off", "information_factor=0")
    assert outcome.status == 1
    assert "ir/0.png is not an image" in outcome.err
    assert "vis/extra.png has no partner" in outcome.err
    assert not Path("run").exists()
