"""Tables, comparison and plot from a report."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from refusion.benchmarks.latency import tables
from refusion.benchmarks.latency.baselines import Baseline
from refusion.benchmarks.latency.comparison import compare
from refusion.benchmarks.latency.plot import plot_scaling
from refusion.errors import InputError


def with_official(report: dict[str, Any]) -> dict[str, Any]:
    """Return the report with an official network that takes ten times as long."""
    report = copy.deepcopy(report)
    official = copy.deepcopy(report["network"][0])
    official |= {"runner": "official", "title": "official, PyTorch eager"}
    official["network"]["p50_ms"] *= 10
    official["network"]["times_ms"] = [10 * value for value in official["network"]["times_ms"]]
    report["network"].insert(0, official)
    return report


def test_ratios_are_of_the_same_run_and_size(report: dict[str, Any]) -> None:
    _, _, official, ours = tables.network_table(with_official(report)).splitlines()
    assert [line.split("|")[8].strip() for line in (official, ours)] == ["1.00", "10.00"]
    assert "x naive ONNX" not in tables.network_table(with_official(report))


def test_tables_stand_in_columns(report: dict[str, Any]) -> None:
    made = [tables.network_table, tables.frames_table, tables.streams_table, tables.one_at_a_time_table]
    for table in made:
        lines = table(report).splitlines()
        assert len(lines) > 2
        assert len({len(line) for line in lines}) == 1
    by_size = tables.scaling_table(report, by="size").splitlines()
    assert [line.split("|")[1].strip() for line in by_size[2:]] == ["32x24", "192x160"]
    by_batch = tables.scaling_table(report, by="batch").splitlines()
    assert [line.split("|")[1].strip() for line in by_batch[2:]] == ["1", "2"]


def test_a_comparison_finds_what_has_become_faster(report: dict[str, Any]) -> None:
    after = copy.deepcopy(report)
    times = after["network"][0]["network"]["times_ms"]
    times[:] = [value / 4 for value in times]
    (line,) = (line for line in compare(report, after).splitlines() if line.startswith("| network "))
    assert "| full, onnxruntime, 64x48, batch 1 " in line
    assert "| 4.000 " in line
    assert "| pre + post " in compare(report, report)
    assert "not comparable" not in compare(quiet(report), quiet(report))
    with pytest.raises(InputError, match="nothing in common"):
        compare(report, {"network": []})


def quiet(report: dict[str, Any]) -> dict[str, Any]:
    """Return the report as of a machine that had nothing else to do."""
    report = copy.deepcopy(report)
    report["facts"]["load_average_1min"] = 0.0
    return report


def test_a_comparison_says_what_else_differs(report: dict[str, Any]) -> None:
    before, after = quiet(report), quiet(report)
    after["facts"] |= {"processor": "another", "load_average_1min": 9.0, "logical_processors": 4}
    before["facts"]["logical_processors"] = 4
    after["weights"]["full"]["ivif.onnx"] = "0" * 64
    after["network"][0]["title"] = "full, other"
    lines = compare(before, after).splitlines()
    processor = before["facts"]["processor"]
    assert lines[:5] == [
        f"not comparable: processor is {processor!r} before, 'another' after",
        "not comparable: the weights of the full model are not the same files",
        "not comparable: after: the machine was busy, its load before the run was 9.0",
        "only before: network, full, onnxruntime, 64x48, batch 1",
        "only after: network, full, other, 64x48, batch 1",
    ]


def test_much_that_is_missing_is_counted(report: dict[str, Any]) -> None:
    less = quiet(report)
    less["frames"], less["one_at_a_time"] = less["frames"][:1], []
    lines = compare(quiet(report), less).splitlines()
    assert lines[0] == (
        "only before: 6 of pair to picture, 6 of pre + post, 2 of videos to video, one frame at a time"
    )


def test_few_calls_prove_nothing(report: dict[str, Any]) -> None:
    after = copy.deepcopy(report)
    before_ms, after_ms = (one["network"][0]["network"] for one in (report, after))
    after_ms["times_ms"] = [value / 4 for value in before_ms["times_ms"]]
    (line,) = (line for line in compare(report, after).splitlines() if line.startswith("| network "))
    assert line.endswith("| too few calls to tell |")
    many = copy.deepcopy(report)
    many["network"][0]["network"] = {"times_ms": [4.0] * 6}
    after["network"][0]["network"] = {"times_ms": [1.0] * 6}
    (line,) = (line for line in compare(many, after).splitlines() if line.startswith("| network "))
    assert line.split("|")[-2].strip() == "faster"


def test_ratios_are_of_one_device(report: dict[str, Any]) -> None:
    report = with_official(report)
    found = tables.ratio_to(report, Baseline.official, report["network"][1])
    assert found is not None
    assert found.value == pytest.approx(10)
    assert found.low <= found.value <= found.high
    assert tables.times_as_fast(report, Baseline.compiled, report["network"][1]) is None
    report["network"][0]["device"] = "cuda"
    assert tables.times_as_fast(report, Baseline.official, report["network"][1]) is None


def test_stages_add_up_or_the_lines_say_where_not(report: dict[str, Any]) -> None:
    report = copy.deepcopy(report)
    for section in ("frames", "one_at_a_time"):
        for result in report[section]:
            result["stages_share"] = 1.0
    well = "the medians of the stages and of what is between them add up to 100 to 100 % of the whole's"
    assert tables.sums_lines(report) == [f"pair to picture: {well}", f"one frame at a time: {well}"]
    report["frames"][0]["stages_share"] = 0.85
    _, off, _ = tables.sums_lines(report)
    assert off == "pair to picture, no network, 64x48: they add up to 85 %, which is off by more than 10 %"


def test_each_stage_has_its_percentiles(report: dict[str, Any]) -> None:
    lines = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in tables.stages_table(report).splitlines()
    ]
    stages = ["decode a", "decode b", "pair", "pre", "network", "post", "encode", "between", "all"]
    assert [line[2] for line in lines if line[0] == "full, onnxruntime"] == stages
    assert [line[2] for line in lines if line[0] == "no network"] == [
        name for name in stages if name != "network"
    ]
    assert {line[-1] for line in lines if line[2] == "all"} == {"100.0"}
    without_videos = {name: value for name, value in report.items() if name != "one_at_a_time"}
    assert "| 64x48 " in tables.stages_table(without_videos)


def test_power_of_each_network_and_of_none(report: dict[str, Any]) -> None:
    sensors = {
        "GPU (NVML)": {"power_w": {"mean": 80.0}, "sm_clock_mhz": {"mean": 1500.0}},
        "cores": {"clock_mhz": {"mean": 2000.0}},
    }
    running = {"sensors": sensors, "energy_j_per_frame": {"GPU (NVML)": 0.004}}
    report = copy.deepcopy(report)
    report["sensors"] = {"found": list(sensors), "idle": {**running, "energy_j_per_frame": {}}, "missing": []}
    report["network"][0]["power"] = running
    cells = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in tables.power_table(report).splitlines()[2:]
    ]
    assert cells == [
        ["nothing", "-", "GPU (NVML)", "80.0", "-", "sm 1500"],
        ["nothing", "-", "cores", "-", "-", "cores 2000"],
        ["full, onnxruntime", "64x48", "GPU (NVML)", "80.0", "4", "sm 1500"],
        ["full, onnxruntime", "64x48", "cores", "-", "-", "cores 2000"],
    ]


def test_memory_of_a_gpu_has_a_column_where_it_is_known(report: dict[str, Any]) -> None:
    assert "GPU MiB" not in tables.network_table(report)
    report = copy.deepcopy(report)
    report["network"][0]["device_mib"] = 612.0
    assert "| 612     |" in tables.network_table(report).splitlines()[2]


def test_a_report_without_scaling_has_nothing_to_draw(report: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no scaling to draw"):
        plot_scaling({**report, "scaling": []}, tmp_path / "x.png")
