"""Tables, comparison, plot and documentation from a report."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from refusion.benchmarks import pages
from refusion.benchmarks.latency import tables
from refusion.benchmarks.latency.comparison import compare
from refusion.benchmarks.latency.plot import plot_scaling
from refusion.benchmarks.latency.report_file import read_report, write_report
from refusion.errors import InputError
from refusion.files import read_image

ROOT = Path(__file__).parents[3]


def with_official(report: dict[str, Any]) -> dict[str, Any]:
    """Return the report with an official network that takes ten times as long."""
    report = copy.deepcopy(report)
    official = copy.deepcopy(report["network"][0])
    official |= {"runner": "official", "title": "official, PyTorch eager"}
    official["network"]["p50_ms"] *= 10
    report["network"].insert(0, official)
    return report


def test_ratios_are_of_the_same_run_and_size(report: dict[str, Any]) -> None:
    _, _, official, ours = tables.network_table(with_official(report)).splitlines()
    assert [line.split("|")[8].strip() for line in (official, ours)] == ["1.00", "10.00"]
    assert ours.split("|")[9].strip() == "-"
    assert "10.0 times as fast as the official network in PyTorch eager mode" in pages.ratios_text(
        with_official(report)
    )


def test_tables_stand_in_columns(report: dict[str, Any]) -> None:
    made = [tables.network_table, tables.frames_table, tables.streams_table]
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
    with pytest.raises(InputError, match="nothing in common"):
        compare(report, {"network": []})


def test_a_page_gets_its_tables_and_keeps_its_words(report: dict[str, Any]) -> None:
    page = (
        "Words.\n<!-- bench:network -->\nold\n<!-- /bench -->\nMore.\n<!-- bench:machine --><!-- /bench -->\n"
    )
    page = page.replace("<!-- bench:machine -->", "<!-- bench:machine -->\n")
    found = pages.filled(page, report)
    assert found.startswith("Words.\n<!-- bench:network -->\n| network alone ")
    assert "old" not in found
    assert "\n<!-- /bench -->\nMore.\n<!-- bench:machine -->\nMachine: " in found
    assert pages.filled(found, report) == found


@pytest.mark.parametrize(
    ("page", "message"),
    [("no markers", "has no markers"), ("<!-- bench:speed -->\n<!-- /bench -->", "there is no part 'speed'")],
)
def test_pages_that_cannot_be_filled(report: dict[str, Any], page: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        pages.filled(page, report)


def test_the_command_fills_a_page_and_draws(report: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    write_report(tmp_path / "r.json", report, force=False)
    page = tmp_path / "page.md"
    page.write_text("<!-- bench:scaling-size -->\n<!-- /bench -->\n")
    pages.main([str(tmp_path / "r.json"), "--page", str(page), "--figures", str(tmp_path)])
    assert "| 192x160 |" in page.read_text()
    assert read_image(tmp_path / pages.SCALING_FIGURE).shape[2] == 3


def test_a_report_without_scaling_has_nothing_to_draw(report: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no scaling to draw"):
        plot_scaling({**report, "scaling": []}, tmp_path / "x.png")


def test_the_documentation_shows_the_report_that_is_kept() -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text()
    assert pages.filled(page, read_report(ROOT / "benchmarks" / "results" / "cpu.json")) == page
