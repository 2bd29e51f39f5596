"""A run from request to report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refusion import __version__
from refusion.benchmarks.latency import contenders as contenders_module
from refusion.benchmarks.latency import scaling
from refusion.benchmarks.latency.contenders import Contender, Weights
from refusion.benchmarks.latency.network import measure_network
from refusion.benchmarks.latency.power import PowerPlan
from refusion.benchmarks.latency.probe import Probe, ProbeRequest
from refusion.benchmarks.latency.samples import Samples, Turns
from refusion.benchmarks.latency.scaling import ScalingPlan, ScalingResult
from refusion.benchmarks.latency.skipped import Skipped
from refusion.benchmarks.reports import read_report, write_report
from refusion.errors import BackendError
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
    assert (result["device"], result["precision"], result["device_mib"]) == ("cpu", "float32", None)
    assert result["file"] == {"name": "ivif.onnx", "sha256": report["weights"]["full"]["ivif.onnx"]}
    assert result["open_s"] >= 0
    assert times["calls_per_turn"] == [1, 1]


def test_results_are_compared_with_pytorch(report: dict[str, Any]) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    assert 0 < report["network"][0]["largest_difference"] < 1e-5


class Failing:
    """A backend that fails at its first run."""

    description = "fails"

    def run(self, sources: np.ndarray) -> np.ndarray:
        raise BackendError("out of memory")

    def close(self) -> None:
        """Nothing is held."""


def test_what_fails_at_its_first_run_does_not_end_the_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    create = contenders_module.create_backend
    monkeypatch.setattr(
        contenders_module,
        "create_backend",
        lambda name, *a, **k: Failing() if name == "native" else create(name, *a, **k),
    )
    skipped: list[Skipped] = []
    results = measure_network(
        [Contender(Model.full, name) for name in ("native", "onnxruntime")],
        {Model.full: FULL},
        size=(24, 16),
        batch=1,
        threads=1,
        turns=Turns(1, least_s=0.0),
        power=PowerPlan(),
        skipped=skipped,
    )
    assert [result.contender.runner for result in results] == ["onnxruntime"]
    assert ("full, native", "out of memory") in [(one.what, one.reason) for one in skipped]


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
