"""Frames and videos: their stages, and what is between them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from refusion.benchmarks.latency.contenders import Contender, Weights
from refusion.benchmarks.latency.executors import opened
from refusion.benchmarks.latency.frames import measure_frames
from refusion.benchmarks.latency.one_at_a_time import measure_one_at_a_time
from refusion.benchmarks.latency.samples import Samples, Turns
from refusion.benchmarks.latency.skipped import Skipped
from refusion.benchmarks.latency.stages import StagedSamples
from refusion.benchmarks.latency.streams import measure_streams, render_videos
from refusion.errors import InputError
from refusion.models import Model
from refusion.tasks import Task

FULL = Weights.shipped(Task.ivif, Model.full)


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
