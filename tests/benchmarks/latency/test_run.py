"""A run from request to report; the baselines compute the network that ours do."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_onnx import write_tiny_onnx

from refusion import __version__
from refusion.benchmarks.latency import baselines, scaling
from refusion.benchmarks.latency import contenders as contenders_module
from refusion.benchmarks.latency.baselines import OfficialNetwork, compiling_anew, export_naively
from refusion.benchmarks.latency.contenders import DEVICES, Contender, Weights, contenders
from refusion.benchmarks.latency.executors import opened
from refusion.benchmarks.latency.frames import measure_frames
from refusion.benchmarks.latency.network import measure_network
from refusion.benchmarks.latency.one_at_a_time import measure_one_at_a_time
from refusion.benchmarks.latency.power import PowerPlan
from refusion.benchmarks.latency.precisions import Precision
from refusion.benchmarks.latency.probe import Probe, ProbeRequest, probe
from refusion.benchmarks.latency.report_file import read_report, write_report
from refusion.benchmarks.latency.run import stated_contender
from refusion.benchmarks.latency.samples import Samples, Turns
from refusion.benchmarks.latency.scaling import ScalingPlan, ScalingResult
from refusion.benchmarks.latency.skipped import Skipped
from refusion.benchmarks.latency.stages import StagedSamples
from refusion.benchmarks.latency.streams import measure_streams, render_videos
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


def test_a_pair_to_a_picture(report: dict[str, Any]) -> None:
    sizes = [(result["title"], result["size"]) for result in report["frames"]]
    assert sizes == [
        ("no network", [64, 48]),
        ("no network, warped", [64, 48]),
        ("full, onnxruntime", [64, 48]),
        ("no network", [640, 480]),
        ("no network, warped", [640, 480]),
        ("no network", [1920, 1080]),
        ("no network, warped", [1920, 1080]),
    ]
    for result in report["frames"]:
        assert list(result["stages"]) == ["pre", "network", "post"]
        add_up(result)
        assert len(result["pre_and_post"]["times_ms"]) == len(result["frame"]["times_ms"])
        assert result["stream_frames_per_s"] > 0


def add_up(result: dict[str, Any]) -> None:
    """Check that the stages of each call and what is between them are the whole."""
    parts = [*result["stages"].values(), result["between"]]
    sums = [sum(times) for times in zip(*(part["times_ms"] for part in parts), strict=True)]
    assert sums == pytest.approx(result["frame"]["times_ms"], abs=0.001)
    median_ms = sum(part["p50_ms"] for part in parts)
    assert result["stages_share"] == pytest.approx(median_ms / result["frame"]["p50_ms"], abs=0.01)


def test_frames_one_at_a_time(report: dict[str, Any]) -> None:
    assert [result["title"] for result in report["one_at_a_time"]] == ["no network", "full, onnxruntime"]
    for result in report["one_at_a_time"]:
        stages = ["decode a", "decode b", "pair", "pre", "network", "post", "encode"]
        assert list(result["stages"]) == stages
        assert result["frame"]["calls"] >= 1
        add_up(result)


def test_stages_of_other_measurements_are_not_taken(videos: tuple[Path, Path], tmp_path: Path) -> None:
    with opened(None, None, size=(64, 48)) as runner:
        for stage in ("decode a", "decode b", "pair", "pre", "network", "post", "encode"):
            runner.clock.add(stage, 99.0)
        found = measure_one_at_a_time(runner, videos, "two", target=tmp_path / "fused.mp4", least_s=0.0)
    stages = found.samples.stages
    assert list(stages) == ["decode a", "decode b", "pair", "pre", "network", "post", "encode"]
    assert all(99e3 not in samples.times_ms for samples in stages.values())
    assert not (tmp_path / "fused.mp4").exists()


def test_videos_of_one_frame_cannot_be_timed_one_at_a_time(tmp_path: Path) -> None:
    videos = render_videos(tmp_path, (64, 48), 1)
    with (
        opened(None, None, size=(64, 48)) as runner,
        pytest.raises(InputError, match="the videos two have too few frames to be timed one at a time"),
    ):
        measure_one_at_a_time(runner, videos, "two", target=tmp_path / "fused.mp4", least_s=0.0)


def test_a_first_frame_is_fused_however_late(videos: tuple[Path, Path], tmp_path: Path) -> None:
    skipped: list[Skipped] = []
    (overlapped,), _ = measure_streams(
        [], {}, videos, "two", folder=tmp_path, threads=1, least_s=0.0, skipped=skipped
    )
    assert [run.frames for run in overlapped.runs] == [1]
    assert skipped == []


def test_stages_that_were_not_timed_once_a_call_are_left_out() -> None:
    whole, part = Samples((10.0, 20.0)), Samples((4.0, 5.0))
    found = StagedSamples.of(whole, {"post": part, "wait": part, "network": part, "pre": None})
    assert list(found.stages) == ["network", "post"]
    assert found.between.times_ms == (2, 10)
    assert found.share == 1


def test_a_batch_of_pairs(report: dict[str, Any]) -> None:
    skipped: list[Skipped] = []
    results = measure_frames(
        [Contender(Model.full, "onnxruntime")],
        {Model.full: FULL},
        size=(24, 16),
        batch=2,
        threads=1,
        turns=Turns(1, least_s=0.0),
        stream_s=1.0,
        skipped=skipped,
    )
    assert [(result.title, result.batch) for result in results] == [
        ("no network", 2),
        ("no network, warped", 2),
        ("full, onnxruntime", 2),
    ]
    assert results[-1].frames_per_s is None
    assert skipped == []


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
    size = 24, 16
    weights = export_naively(FULL, tmp_path / "naive.onnx", size=size, batch=2)
    sources = np.random.default_rng(2).random((2, 2, 16, 24), np.float32)
    official, naive, ours = (
        Contender(Model.full, one).open(weights, size=size, batch=2)
        for one in ("official", "naive_onnx", "onnxruntime")
    )
    expected = official.run(sources)
    for other in (naive, ours):
        np.testing.assert_allclose(other.run(sources), expected, atol=2e-6)
    with pytest.raises(BackendError, match="ONNX Runtime could not run it: "):
        naive.run(sources[:, :, :8].copy())


def test_a_network_is_compiled_when_it_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    compiled_for: list[tuple[int, ...]] = []

    def compiler(graph: Any, inputs: Any) -> Any:
        compiled_for.extend(tuple(value.shape) for value in inputs if value.ndim == 4)
        return graph

    # A small network, and no C++: the real ones take half a minute.
    monkeypatch.setattr(baselines, "_official_module", lambda checkpoint: torch.nn.Softmax(dim=1))
    monkeypatch.setattr(baselines, "COMPILER", compiler)
    backend = Contender(Model.full, "compiled").open(FULL, size=(24, 16), batch=2)
    assert compiled_for == [(2, 2, 16, 24)]
    sources = np.random.default_rng(2).random((2, 2, 16, 24), np.float32)
    np.testing.assert_allclose(backend.run(sources).sum(axis=1), 1, atol=1e-6)
    assert len(compiled_for) == 1
    assert "torch.compile, CPU" in backend.description


def test_nothing_is_compiled_without_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(BackendError, match=r"torch.compile needs a C\+\+ compiler, and there is no"):
        Contender(Model.full, "compiled").open(FULL, size=(24, 16))


@pytest.mark.parametrize("before", [None, "elsewhere"])
def test_what_was_compiled_before_is_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    name = "TORCHINDUCTOR_CACHE_DIR"
    if before is None:
        monkeypatch.delenv(name, raising=False)
    else:
        monkeypatch.setenv(name, before)
    with compiling_anew(tmp_path):
        assert os.environ[name] == str(tmp_path)
    assert os.environ.get(name) == before


def test_baselines_say_that_they_cannot_use_a_gpu(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    if torch.cuda.is_available():
        pytest.skip("they can")
    assert FULL.safetensors is not None
    with pytest.raises(BackendError, match=r"this PyTorch \(.*\) cannot use a GPU"):
        OfficialNetwork(FULL.safetensors, device="cuda")
    with pytest.raises(BackendError, match=r"this ONNX Runtime \(.*\) has no CUDA provider"):
        baselines.NaiveOnnx(tmp_path / "naive.onnx", device="cuda")


def test_baselines_come_first_and_with_the_full_network_alone() -> None:
    chosen = contenders([Model.full, Model.lite], ["torch"], with_baselines=True)
    assert [one.title for one in chosen] == [
        "official, PyTorch eager",
        "official, torch.compile",
        "official, naive ONNX",
        "full, torch",
        "lite, torch",
    ]
    assert [one.title for one in contenders([Model.lite], ["torch"], with_baselines=True)] == ["lite, torch"]
    with pytest.raises(UsageError, match="there is no backend 'tpu'; choose one of native, "):
        contenders([Model.full], ["tpu"], with_baselines=True)


def test_what_runs_on_a_gpu_too() -> None:
    chosen = contenders([Model.full], None, with_baselines=True, devices=DEVICES)
    on_gpu = [one.title for one in chosen if one.device == "cuda"]
    assert on_gpu == [
        "official, PyTorch eager, CUDA",
        "official, torch.compile, CUDA",
        "official, naive ONNX, CUDA",
        "full, onnxruntime, CUDA",
        "full, tensorrt fp16",
        "full, tensorrt fp32",
    ]
    assert not any(one.runner == "tensorrt" for one in contenders([Model.full], None, with_baselines=True))
    # A backend that is asked for is there to say why it cannot run.
    (asked,) = contenders(
        [Model.lite], ["tensorrt"], with_baselines=True, devices=["cpu"], precisions=[Precision.fp16]
    )
    assert asked.title == "lite, tensorrt fp16"


def test_precisions_choose() -> None:
    chosen = contenders([Model.full], None, with_baselines=True, precisions=[Precision.bf16])
    assert [one.title for one in chosen] == ["full, native-bf16"]
    with pytest.raises(UsageError, match="none of these backends runs in fp16"):
        contenders([Model.full], ["native"], with_baselines=True, precisions=[Precision.fp16])


def test_a_file_of_weights_says_its_precision(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed")
    model = write_tiny_onnx(tmp_path / "m.onnx", precision="fp16")
    as_stated = stated_contender(Contender(Model.full, "onnxruntime"), Weights.of_file(model))
    assert as_stated.precision is Precision.fp16
    assert stated_contender(Contender(Model.full, "native"), FULL).precision is Precision.fp32


def test_a_probe_says_why_it_cannot_run(tmp_path: Path) -> None:
    contender = Contender(Model.full, "onnxruntime")
    with pytest.raises(BackendError, match="there is no model .*gone.onnx"):
        probe(ProbeRequest(contender, Weights(None, tmp_path / "gone.onnx"), (8, 8)))
    with pytest.raises(BackendError, match="TensorRT"):
        probe(ProbeRequest(Contender(Model.full, "tensorrt", "cuda"), FULL, (8, 8)))
    with pytest.raises(UsageError, match=r"the onnxruntime backend reads .onnx files, and none was given"):
        contender.open(Weights(FULL.safetensors, None), size=(8, 8))
