"""The documentation's tables, written from reports."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from refusion.benchmarks import page_parts, pages
from refusion.benchmarks.latency import FORMAT as LATENCY
from refusion.benchmarks.page_parts import PARTS, Reports
from refusion.benchmarks.reports import write_report
from refusion.errors import InputError
from refusion.files import read_image

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "benchmarks.md"


@pytest.fixture(scope="module")
def reports() -> Reports:
    """The kept reports, in the order in which `make page` gives them."""
    return pages.read_reports([RESULTS / "cpu.json", *sorted(RESULTS.glob("cpu-*.json"))], RESULTS)


def latency_of(reports: Reports) -> dict[str, Any]:
    return copy.deepcopy(next(report for _, report in reports if report["format"] == LATENCY))


def cells(table: str, row: int) -> list[str]:
    """Return the cells of a table's row, heads and their line not counted."""
    return [cell.strip() for cell in table.splitlines()[2 + row].strip("|").split("|")]


def test_the_documentation_shows_the_reports_that_are_kept(reports: Reports) -> None:
    page = PAGE.read_text()
    assert pages.filled(page, reports) == (page, [])


def test_all_parts_are_on_the_page() -> None:
    page = PAGE.read_text()
    assert [name for name in PARTS if f"<!-- bench:{name} -->" not in page] == []


def test_a_page_gets_its_tables_and_keeps_its_words(reports: Reports) -> None:
    page = "Words.\n<!-- bench:network -->\nold\n<!-- /bench -->\nMore.\n"
    page += "<!-- bench:machine -->\n<!-- /bench -->\n"
    found, left = pages.filled(page, reports)
    assert found.startswith("Words.\n<!-- bench:network -->\n| network alone ")
    assert "old" not in found
    assert "\n<!-- /bench -->\nMore.\n<!-- bench:machine -->\nMeasured " in found
    assert left == []
    assert pages.filled(found, reports)[0] == found


def test_a_part_that_no_report_has_stays(reports: Reports) -> None:
    page = "<!-- bench:roofline -->\nold\n<!-- /bench -->\n<!-- bench:machine -->\n<!-- /bench -->\n"
    found, left = pages.filled(page, [("x", latency_of(reports))])
    assert "<!-- bench:roofline -->\nold\n<!-- /bench -->\n" in found
    assert "Measured " in found
    assert left == ["roofline"]


@pytest.mark.parametrize(
    ("page", "message"),
    [("no markers", "has no markers"), ("<!-- bench:speed -->\n<!-- /bench -->", "there is no part 'speed'")],
)
def test_pages_that_cannot_be_filled(page: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        pages.filled(page, [])


def test_the_first_report_that_has_a_part_counts(reports: Reports) -> None:
    first, second = latency_of(reports), latency_of(reports)
    first["facts"]["processor"], first["scaling"] = "first", []
    second["facts"]["processor"] = "second"
    second["scaling"] = [{"of": "something"}]
    both = [("a", first), ("b", second)]
    assert " on first, " in (PARTS["machine"](both) or "")
    assert " on second, " in (PARTS["scaling-run"](both) or "")
    assert PARTS["scaling-run"](both[:1]) == page_parts.NOT_MEASURED


def test_each_device_has_a_row_with_its_own_roofline(reports: Reports) -> None:
    roofline = copy.deepcopy(next(report for name, report in reports if name == "cpu-roofline"))
    slow, unknown = latency_of(reports), latency_of(reports)
    slow["facts"] |= {"processor": "abacus", "gpus": [{"name": "beads"}]}
    for result in slow["network"]:
        result["network"]["p50_ms"] *= 1000
    for one in roofline["closeness"]:
        one["share"] = 0.125
    table = PARTS["devices"](
        [("zuse", slow), ("zuse-roofline", roofline), ("zuse-scaling", slow), ("another", unknown)]
    )
    assert table is not None
    assert len(table.splitlines()) == 4
    assert cells(table, 0)[0] == "[another](../benchmarks/results/another.json)"
    assert cells(table, 0)[7] == "-"
    assert cells(table, 1)[1] == "abacus, beads"
    assert cells(table, 1)[7] == "12%"
    factor = float(cells(table, 1)[4].replace(",", "")) / float(cells(table, 0)[4])
    assert factor == pytest.approx(1000, rel=0.01)


def test_ratios_are_of_one_run_and_their_intervals_of_all_on_the_machine(reports: Reports) -> None:
    own, again, elsewhere = (latency_of(reports) for _ in range(3))
    for report, factor in ((again, 3), (elsewhere, 50)):
        for result in report["network"]:
            if result["runner"] == "official":
                result["network"]["times_ms"] = [factor * ms for ms in result["network"]["times_ms"]]
    again["facts"]["date"], elsewhere["facts"]["processor"] = "another day", "abacus"
    alone = PARTS["ratios"]([("a", own)])
    joined = PARTS["ratios"]([("a", own), ("b", again), ("c", elsewhere)])
    assert alone is not None
    assert joined is not None
    name = "- full, native, "
    one, both = (next(line for line in t.splitlines() if name in line) for t in (alone, joined))
    value, low, _, high = one.split(": ")[1].replace("(", "").replace(")", "").split()[:4]
    assert both.split(": ")[1].startswith(f"{value} ({low} to ")
    assert float(both.split(" to ")[1].split(")")[0]) == pytest.approx(3 * float(high), rel=0.01)
    assert (", of 1 run." in alone, ", of 2 runs." in joined) == (True, True)


def test_the_command_fills_a_page_and_draws(
    reports: Reports, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    scaled = next(report for _, report in reports if report["format"] == LATENCY and report.get("scaling"))
    write_report(tmp_path / "r.json", scaled, force=False)
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- bench:scaling-size -->\n<!-- /bench -->\n<!-- bench:quality -->\nold\n<!-- /bench -->\n"
    )
    options = ["--page", str(page), "--figures", str(tmp_path), "--results", str(tmp_path)]
    pages.main([str(tmp_path / "r.json"), *options])
    assert "| 1280x720 " in page.read_text()
    assert read_image(tmp_path / pages.SCALING_FIGURE).shape[2] == 3
    assert "no report has the part 'quality'" in capsys.readouterr().out


def test_power_is_a_table_or_said_to_be_untold(reports: Reports) -> None:
    report = latency_of(reports)
    report["sensors"] = {"found": [], "idle": None, "missing": ["no meter"]}
    assert PARTS["power"]([("a", report)]) == "Nothing told them here; what was left out says why."
    idle = {"sensors": {"meter": {"power_w": {"mean": 80.0}}}, "energy_j_per_frame": {}}
    report["sensors"] = {"found": ["meter"], "idle": idle, "missing": []}
    assert "| nothing | " in (PARTS["power"]([("a", report)]) or "")


def test_a_machine_is_described_in_lines_of_a_page(reports: Reports) -> None:
    report = latency_of(reports)
    report["facts"] |= {"torch": None, "commit": None}
    text = page_parts.machine_text(report)
    assert max(map(len, text.splitlines())) <= 120
    assert "commit unknown" in text
    assert "torch" not in text
