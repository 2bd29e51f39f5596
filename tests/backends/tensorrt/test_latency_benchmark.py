"""The latency benchmark on engines: found, described, and timed stage by stage, on the fake GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from refusion.backends.tensorrt.shapes import ShapeProfile
from refusion.benchmarks.latency.contenders import Contender
from refusion.benchmarks.latency.engines import engine_for
from refusion.benchmarks.latency.precisions import Precision
from refusion.benchmarks.latency.run import Effort, LatencyRequest, run, stated_contender
from refusion.benchmarks.latency.samples import Turns
from refusion.benchmarks.latency.streams import render_videos
from refusion.benchmarks.latency.weights import Weights
from refusion.errors import BackendError
from refusion.models import Model
from refusion.tasks import Task

from .conftest import SHAPE, Shelve

pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed")

HEIGHT, WIDTH = SHAPE
SIZE = WIDTH, HEIGHT
FULL = Weights.shipped(Task.ivif, Model.full)
STAGES = ["upload", "pre", "network", "post", "download"]


@pytest.fixture
def report(shelve: Shelve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the benchmark says of one engine on this machine's GPU."""
    monkeypatch.setattr("refusion.benchmarks.latency.run.AROUND_SIZES", ())
    shelve("half")
    return run(
        LatencyRequest(
            models=(Model.full,),
            backends=("tensorrt",),
            sizes=(SIZE,),
            threads=1,
            with_baselines=False,
            with_streams=True,
            videos=render_videos(tmp_path, SIZE, 5),
            effort=Effort(Turns(2, least_s=0.0, most_calls=1), hand_s=0.01, stream_s=0.1),
        )
    )


def test_an_engine_is_found_described_and_timed_stage_by_stage(report: dict[str, Any]) -> None:
    (network,) = report["network"]
    named = {name: network[name] for name in ("title", "runner", "device", "precision")}
    assert named == {
        "title": "full, tensorrt fp16",
        "runner": "tensorrt",
        "device": "cuda",
        "precision": "float16",
    }
    assert network["file"]["name"] == "half.plan"
    assert {"sha256", "plan_sha256", "onnx_sha256", "built_by", "accuracy"} <= network["file"].keys()
    assert "Fake GPU" in network["description"]
    assert report["facts"]["gpus"][0]["name"] == "Fake GPU"
    skipped = {one["what"]: one["why"] for one in report["skipped"]}
    assert skipped["full, tensorrt fp32"].endswith(
        f"takes {WIDTH}x{HEIGHT}; `refusion export --task ivif --fp32 --shape {HEIGHT}x{WIDTH}` builds one"
    )
    on_gpu = {result["title"]: result for result in report["frames"] if "tensorrt" in result["title"]}
    assert list(on_gpu) == ["full, tensorrt fp16", "full, tensorrt fp16, warped"]
    for result in on_gpu.values():
        assert list(result["stages"]) == STAGES
        # On the fake every event is a millisecond after the last.
        assert result["stages"]["network"]["p50_ms"] == 1
        assert result["stages"]["upload"]["p50_ms"] > 1
        assert result["stream_frames_per_s"] > 0
    for section in ("streams", "one_at_a_time"):
        titles = [result["title"] for result in report[section]]
        assert titles == ["no network", "full, tensorrt fp16"]
        stages = ["decode a", "decode b", "pair", *STAGES, "encode"]
        assert list(report[section][1]["stages"]) == stages


def test_an_engine_for_fewer_pairs_is_none_for_a_batch(shelve: Shelve) -> None:
    shelve("pair")
    with pytest.raises(
        BackendError, match=r"takes 2 pairs of 48x32; `.* --shape 32x48 --batch 2` builds one"
    ):
        engine_for(FULL, Model.full, Precision.fp16, size=SIZE, batch=2)
    both = shelve("both", profile=ShapeProfile.fixed(2, *SHAPE))
    assert engine_for(FULL, Model.full, Precision.fp16, size=SIZE, batch=2).resolve() == both.resolve()


def test_precisions_are_told_apart(shelve: Shelve) -> None:
    plans = {name: shelve(name, precision=name) for name in ("fp32", "fp16")}
    for name, plan in plans.items():
        found = engine_for(FULL, Model.full, Precision[name], size=SIZE, batch=1)
        assert found.resolve() == plan.resolve()


def test_an_engine_that_is_named_says_its_precision(shelve: Shelve) -> None:
    weights = Weights.of_file(shelve("named", precision="fp32"))
    found = {
        stated_contender(Contender(Model.full, "tensorrt", "cuda", precision), weights)
        for precision in (Precision.fp16, Precision.fp32)
    }
    assert found == {Contender(Model.full, "tensorrt", "cuda", Precision.fp32)}
    (contender,) = found
    assert contender.file(weights, size=(640, 480)) == weights.plan
