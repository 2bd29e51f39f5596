"""`refusion bench quality` from the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from refusion.benchmarks.reports import read_report
from refusion.metrics import METRICS

Command = Callable[..., Any]


def test_pairs_of_ones_own(cli: Command, folders: tuple[Path, Path]) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    arguments = (
        "--method",
        "full",
        "--method",
        "average",
        "--threads",
        "1",
        "-o",
        "report",
        "--json",
        "q.json",
    )
    outcome = cli("bench", "quality", "--a", "ir", "--b", "vis", *arguments)
    assert outcome.status == 0, outcome.err
    assert "| own | 3     | full    | " in outcome.out
    assert outcome.out.endswith("wrote report/report.html\nwrote q.json\n")
    report = read_report(Path("q.json"))
    assert report == read_report(Path("report/report.json"))
    results = [
        (one["set"], one["task"], one["pairs"], one["method"], one["kind"]) for one in report["results"]
    ]
    assert results == [("own", "ivif", 3, "full", "model"), ("own", "ivif", 3, "average", "classical")]
    assert all(one["means"].keys() == METRICS.keys() for one in report["results"])
    assert [len(one["weights_sha256"] or "") for one in report["results"]] == [64, 0]
    assert (report["video"], report["skipped"]) == ([], [])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "data sets are looked for below a root folder: name it with --data or $REFUSION_DATA"),
        (("--data", "none"), "there is no folder of data sets none"),
        (("--data", "."), ". holds none of the data sets that have names (ivif/test, "),
        (("--data", ".", "--set", "tno"), "there is no folder ivif/test/ir"),
        (("--data", ".", "--set", "kaist"), "there is no data set 'kaist'; choose one of tno, roadscene,"),
        (("--a", "ir", "--b", "vis", "-o", "there"), "there/report.html is there already; give --force"),
        (("--a", "ir"), "pairs of your own have two sides: give both --a and --b"),
        (("--a", "ir", "--b", "vis", "--set", "tno"), "choose data sets by name (--set, --data) or pairs of"),
        (
            ("--a", "ir", "--b", "vis", "--method", "best"),
            "there is no method 'best'; choose one of full, lite,",
        ),
        (("--a", "ir", "--b", "vis", "--official", "x.pth"), "there is no weights file x.pth"),
        (
            ("--a", "ir", "--b", "vis", "--official", "ir"),
            "ir holds none of the official files ReFusion_IVIF.pth,",
        ),
        (("--a", "ir", "--b", "vis", "--weights", "x"), "--weights is NAME=FILE, not 'x'"),
        (("--a", "ir", "--b", "vis", "--results", "x=y"), "there is no folder of results y"),
        (
            ("--a", "ir", "--b", "vis", "--results", "full=ir"),
            "two methods are called 'full': give each its own name",
        ),
        (
            ("--a", "ir", "--b", "vis", "--results", "x=few"),
            "few has no picture for 2 of 3 pairs of own, 1 first",
        ),
        (
            ("--a", "ir", "--b", "vis", "--task", "mfif", "--method", "visible"),
            "'visible only' is for none of the sets: it is for infrared + visible",
        ),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_measured(
    cli: Command,
    folders: tuple[Path, Path],
    arguments: tuple[str, ...],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("REFUSION_DATA", raising=False)
    for name in ("few", "there"):
        Path(name).mkdir()
    (Path("there") / "report.html").write_text("")
    (Path("few") / "0.png").write_bytes((folders[0] / "0.png").read_bytes())
    outcome = cli("bench", "quality", *arguments)
    assert outcome.status == 1
    (line,) = outcome.error_lines
    assert line.startswith(f"error: {message}")
