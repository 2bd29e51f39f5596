"""A run from request to report; the baselines compute the network that ours do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refusion import __version__
from refusion.benchmarks.latency import scaling
from refusion.benchmarks.latency.contenders import (
    Baseline,
    Contender,
    Weights,
    contenders,
    export_naively,
)
from refusion.benchmarks.latency.probe import Probe, ProbeRequest, probe
from refusion.benchmarks.latency.report_file import read_report, write_report
from refusion.benchmarks.latency.samples import Samples
from refusion.benchmarks.latency.scaling import ScalingPlan, ScalingResult
from refusion.benchmarks.latency.skipped import Skipped
from refusion.errors import BackendError, InputError, UsageError
from refusion.models import Model
from refusion.tasks import Task

FULL = Weights.shipped(Task.ivif, Model.full)


def test_a_report_states_what_it_depends_on(report: dict[str, Any]) -> None:
    facts = report["facts"]
    assert facts["refusion"] == __version__
    assert facts["threads"] == 1
    assert {"commit", "processor", "instruction_sets", "onnxruntime", "load_average_1min"} <= facts.keys()
    assert len(report["weights"]["full"]["ivif.onnx"]) == 64
    assert "before each turn" in report["settings"]["warm_up"]


def test_the_network_alone(report: dict[str, Any]) -> None:
    (result,) = report["network"]
    assert (result["title"], result["size"], result["batch"]) == ("full, onnxruntime", [64, 48], 1)
    times = result["network"]
    assert times["calls"] == len(times["times_ms"]) == 2
    assert 0 < times["p50_ms"] <= times["p95_ms"] <= times["p99_ms"] == times["max_ms"]
    assert 0 < result["run_mib"] < result["peak_mib"]


def test_results_are_compared_with_pytorch(report: dict[str, Any]) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    assert 0 < report["network"][0]["largest_difference"] < 1e-5


def test_a_pair_to_a_picture(report: dict[str, Any]) -> None:
    sizes = [(result["title"], result["size"]) for result in report["frames"]]
    assert sizes == [
        ("no network", [64, 48]),
        ("full, onnxruntime", [64, 48]),
        ("no network", [640, 480]),
        ("no network", [1920, 1080]),
    ]
    for result in report["frames"]:
        stages = result["stages"]
        assert list(stages) == ["pre", "network", "post"]
        parts = sum(stage["p50_ms"] for stage in stages.values())
        assert result["frame"]["p50_ms"] > 0.5 * parts
        assert len(result["pre_and_post"]["times_ms"]) == len(result["frame"]["times_ms"])


def test_videos_to_a_video(report: dict[str, Any]) -> None:
    assert [result["title"] for result in report["streams"]] == ["no network", "full, onnxruntime"]
    for result in report["streams"]:
        assert result["size"] == [64, 48]
        assert all(1 <= run["frames"] <= 5 for run in result["runs"])
        stages = {"pair", "decode a", "decode b", "pre", "network", "post", "encode"}
        assert set(result["stages"]) == stages
        assert result["frames_per_s"] > 0
        assert result["processor_ms_per_frame"] > 0


def test_scaling_varies_size_batch_and_threads(report: dict[str, Any]) -> None:
    varied = [(tuple(one["size"]), one["batch"], one["threads"]) for one in report["scaling"]]
    assert varied == [((32, 24), 1, 1), ((192, 160), 1, 1), ((192, 160), 2, 1)]
    small, large, _ = report["scaling"]
    assert large["run_mib"] > 10 * max(small["run_mib"], 1)


def test_what_is_too_much_for_the_machine_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(request: ProbeRequest) -> Probe:
        pixels = request.size[0] * request.size[1]
        return Probe("", Samples((pixels / 1e3,)), 0.0, pixels / 1e3)

    monkeypatch.setattr(scaling, "probe", found)
    monkeypatch.setattr(scaling, "free_memory_mib", lambda: 1000.0)

    def sizes(longest_s: float) -> tuple[list[ScalingResult], list[str]]:
        skipped: list[Skipped] = []
        plan = ScalingPlan(((100, 100), (1000, 700), (1000, 1000)), batches=(), longest_s=longest_s)
        results = scaling.measure_scaling(
            [Contender(Model.full, "onnxruntime")], {Model.full: FULL}, threads=1, plan=plan, skipped=skipped
        )
        return list(results), [one.reason for one in skipped]

    results, reasons = sizes(longest_s=9.0)
    assert [result.size for result in results] == [(100, 100), (1000, 700)]
    assert reasons == ["would need about 1 GiB of memory, 1 GiB are free"]
    results, reasons = sizes(longest_s=0.8)
    assert [result.size for result in results] == [(100, 100), (1000, 700)]
    assert reasons == ["would take about 1 s a run"]


def test_a_report_on_disk_is_the_same_with_times_in_lines(report: dict[str, Any], tmp_path: Path) -> None:
    write_report(tmp_path / "r.json", report, force=False)
    assert read_report(tmp_path / "r.json") == json.loads(json.dumps(report))
    lines = (tmp_path / "r.json").read_text().splitlines()
    assert any(line.strip().startswith('"times_ms": [') and line.count(",") >= 2 for line in lines)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no report .*r.json"),
        ("{", "cannot be read as JSON"),
        ("[1]", "its format is None, not 'refusion latency 1'"),
        ('{"format": "refusion latency 9"}', "its format is 'refusion latency 9'"),
    ],
)
def test_other_files_are_no_reports(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "r.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=message):
        read_report(path)


def test_baselines_compute_the_network_that_is_shipped(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("onnx", reason="onnx is not installed")
    weights = export_naively(FULL, tmp_path / "naive.onnx", size=(24, 16), batch=2)
    sources = np.random.default_rng(2).random((2, 2, 16, 24), np.float32)
    runners = [*(baseline.name for baseline in Baseline), "onnxruntime"]
    official, naive, ours = (Contender(Model.full, one).open(weights).run(sources) for one in runners)
    np.testing.assert_allclose(naive, official, atol=2e-6)
    np.testing.assert_allclose(ours, official, atol=2e-6)
    with pytest.raises(BackendError, match="ONNX Runtime could not run it: "):
        Contender(Model.full, "naive_onnx").open(weights).run(sources[:, :, :8].copy())


def test_baselines_come_first_and_with_the_full_network_alone() -> None:
    chosen = contenders([Model.full, Model.lite], ["torch"], with_baselines=True)
    assert [one.title for one in chosen] == [
        "official, PyTorch eager",
        "official, naive ONNX",
        "full, torch",
        "lite, torch",
    ]
    assert [one.title for one in contenders([Model.lite], ["torch"], with_baselines=True)] == ["lite, torch"]
    with pytest.raises(UsageError, match="there is no backend 'tpu'; choose one of native, "):
        contenders([Model.full], ["tpu"], with_baselines=True)


def test_a_probe_says_why_it_cannot_run(tmp_path: Path) -> None:
    contender = Contender(Model.full, "onnxruntime")
    with pytest.raises(BackendError, match="there is no model .*gone.onnx"):
        probe(ProbeRequest(contender, Weights(None, tmp_path / "gone.onnx"), (8, 8)))
    with pytest.raises(UsageError, match=r"the onnxruntime backend reads .onnx files, and none was given"):
        contender.open(Weights(FULL.safetensors, None))
