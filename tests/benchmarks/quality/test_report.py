"""The folder of a report: complete, consistent, and a page that needs nothing else."""

from __future__ import annotations

import csv
import re
import shutil
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from refusion.benchmarks.quality.classical import Baseline
from refusion.benchmarks.quality.methods import Classical, Results, VisibleOnly
from refusion.benchmarks.quality.report_folder import refuse_folder, write_folder
from refusion.benchmarks.quality.run import QualityRequest, QualityRun, Skipped, run
from refusion.benchmarks.quality.sets import EvaluationSet, own_set
from refusion.benchmarks.quality.tables import number, quality_table, skipped_lines, video_table
from refusion.benchmarks.reports import read_report
from refusion.errors import OutputError
from refusion.metrics import METRICS
from refusion.tasks import Task

from .conftest import write_clip, write_pairs

pytest.importorskip("matplotlib", reason="matplotlib is not installed")

NAME = 'the <b>"others"</b> & we'
"""A method's name is the user's own text."""


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> QualityRun:
    """Three methods on two sets, one of pairs and one of a clip."""
    folder = tmp_path_factory.mktemp("data")
    write_pairs(folder / "ir", folder / "vis", 5)
    write_clip(folder / "clip/ir.mp4", folder / "clip/vis.mp4", 3)
    pairs = own_set(folder / "ir", folder / "vis", Task.ivif)
    clips = own_set(folder / "clip/ir.mp4", folder / "clip/vis.mp4", Task.ivif)
    named = EvaluationSet("night", "Night", Task.ivif, clips=clips.clips)
    methods = (
        Results(NAME, folder / "ir", only_set=False),
        Classical(Baseline.average),
        VisibleOnly(),
    )
    shutil.copytree(folder / "ir", folder / "ir/own")
    return run(QualityRequest((pairs, named), methods, threads=1, skipped=(Skipped("TNO", "not there"),)))


@pytest.fixture(scope="module")
def folder(measured: QualityRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its report."""
    target = tmp_path_factory.mktemp("reports") / "report"
    refuse_folder(target, measured.sets, force=False)
    write_folder(target, measured, force=False)
    return target


def test_all_files_are_there(folder: Path) -> None:
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert found == {
        *("report.html", "report.json", "pairs.csv", "sheets/own.jpg", "sheets/night.jpg"),
        *("plots/own.png", "plots/night.png", "plots/night-flicker.png"),
    }
    sheet = cv2.imread(str(folder / "sheets/own.jpg"))
    assert sheet.shape[1] == 5 * 244, "both sources and three methods"
    assert all(np.ptp(cv2.imread(str(path))) > 100 for path in folder.glob("plots/*.png"))


def test_means_are_those_of_the_pairs(folder: Path) -> None:
    report = read_report(folder / "report.json")
    values = defaultdict(list)
    with (folder / "pairs.csv").open(newline="") as file:
        for line in csv.DictReader(file):
            for name in METRICS:
                values[line["set"], line["method"], name].append(float(line[name]))
    assert {(one["set"], one["method"]) for one in report["results"]} == {key[:2] for key in values}
    assert [(one["set"], one["method"], one["pairs"]) for one in report["results"]] == [
        *(("own", method, 5) for method in (NAME, "average", "visible only")),
        *(("Night", method, 3) for method in ("average", "visible only")),
    ]
    for one in report["results"]:
        for name, value in one["means"].items():
            of_pairs = values[one["set"], one["method"], name]
            assert value == pytest.approx(np.mean(of_pairs), rel=1e-12)
            low, high = one["intervals_95"][name]
            assert min(of_pairs) - 1e-9 <= low <= value + 1e-9
            assert value - 1e-9 <= high <= max(of_pairs) + 1e-9


def test_the_json_form(folder: Path) -> None:
    report = read_report(folder / "report.json")
    assert {"commit", "refusion", "opencv"} <= report["facts"].keys()
    assert [one["set"] for one in report["settings"]["sets"]] == ["own", "Night"]
    first, second = report["video"]
    assert (first["method"], second["method"], list(first["clips"])) == ("average", "visible only", ["ir"])
    assert second["flicker"] == second["clips"]["ir"]["b"]
    assert {(one["set"], one["against"]) for one in report["paired"]} == {("own", NAME), ("Night", "average")}
    assert skipped_lines(report) == [
        "TNO: not there",
        f"{NAME} on Night: there is no folder night in ir",
    ]
    assert report["checks"] == []


def test_tables(folder: Path) -> None:
    report = read_report(folder / "report.json")
    lines = quality_table(report).splitlines()
    assert lines[0].startswith("| set   | pairs | method ")
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["own"] * 3 + ["Night"] * 2
    assert len(quality_table(report, "Night").splitlines()) == 4
    assert video_table(report).splitlines()[2].startswith("| Night | 1     | average ")
    assert video_table({**report, "video": []}) == ""


@pytest.mark.parametrize(("value", "text"), [(-0.0061, "-0.006"), (7.1, "7.100"), (43.774, "43.77")])
def test_numbers_have_the_digits_of_published_tables(value: float, text: str) -> None:
    assert number(value) == text


def test_the_page_loads_nothing(folder: Path) -> None:
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in page
    addresses = re.findall(r'\b(?:src|href)="([^"]{1,40})', page)
    assert len(addresses) > 5
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert "http://" not in page
    assert "https://" not in page
    assert "<b>&quot;others" not in page
    assert "the &lt;b&gt;&quot;others&quot;&lt;/b&gt; &amp; we" in page


@pytest.fixture(scope="module")
def page(folder: Path) -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("there is no chromium on the path")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        opened = browser.new_page()
        troubles: list[str] = []
        opened.on("console", lambda message: troubles.append(message.text))
        opened.on("pageerror", lambda error: troubles.append(str(error)))
        opened.on("request", lambda request: troubles.append(request.url))
        opened.goto((folder / "report.html").as_uri())
        yield opened
        browser.close()
        requests = [one for one in troubles if not one.startswith("data:")]
        assert requests == [(folder / "report.html").as_uri()]


def test_a_column_sorts_the_table(page: Any, folder: Path) -> None:
    means = {
        one["method"]: one["means"]["MI"]
        for one in read_report(folder / "report.json")["results"]
        if one["set"] == "own"
    }
    rows = page.locator("#own table.sortable").first.locator("tbody tr td:first-child")
    page.locator("#own th button", has_text=re.compile("^MI$")).first.click()
    assert rows.all_inner_texts() == sorted(means, key=lambda name: -means[name])
    page.locator("#own th button", has_text=re.compile("^MI$")).first.click()
    assert rows.all_inner_texts() == sorted(means, key=lambda name: means[name])
    page.locator("#own th button", has_text="method").first.click()
    assert rows.all_inner_texts() == ["average", NAME, "visible only"]


def test_pictures_are_shown_and_enlarged(page: Any) -> None:
    assert page.evaluate("[...document.images].every((image) => image.naturalWidth > 0)")
    sheet = page.locator("#own .zoom")
    page.set_viewport_size({"width": 700, "height": 800})
    small = sheet.locator("img").bounding_box()["width"]
    sheet.click()
    assert sheet.locator("img").bounding_box()["width"] == 5 * 244 > small


def test_a_report_is_not_replaced_unasked(folder: Path, measured: QualityRun, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="report.html is there already; give --force to replace it"):
        refuse_folder(folder, measured.sets, force=False)
    refuse_folder(folder, measured.sets, force=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file cannot be made: it is a file, not a folder"):
        refuse_folder(tmp_path / "file", measured.sets, force=False)
