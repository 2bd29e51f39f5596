"""Writes the tables of the documentation from reports: no number is typed by hand.

    python -m refusion.benchmarks.pages REPORT.json ... [--results benchmarks/results]
        [--page docs/benchmarks.md] [--figures docs/figures]

A page holds markers, `<!-- bench:NAME -->` and `<!-- /bench -->`; what is between them is replaced. Reports
are told apart by their "format"; of several that have what a part needs, the first one counts. Reports in the
results folder make rows of the table of devices. A part that no report has is left as it is, and named.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from refusion.benchmarks.latency import FORMAT as LATENCY
from refusion.benchmarks.latency.plot import plot_scaling
from refusion.benchmarks.page_parts import PARTS, Reports
from refusion.benchmarks.reports import read_report
from refusion.errors import InputError

_PART = re.compile(r"(<!-- bench:([a-z-]+) -->\n).*?(<!-- /bench -->)", re.DOTALL)
SCALING_FIGURE = "scaling.png"


def read_reports(paths: Iterable[Path], results: Path | None = None) -> Reports:
    """Read reports, and after them the others of a folder, by name.

    Raises:
        InputError: One cannot be read.
    """
    found = {path.resolve(): path for path in (*paths, *(sorted(results.glob("*.json")) if results else ()))}
    return [(path.stem, read_report(path)) for path in found.values()]


def filled(page: str, reports: Reports) -> tuple[str, list[str]]:
    """Write what is between a page's markers.

    Returns:
        The page, and the names of parts that no report has: they are as they were.

    Raises:
        InputError: A marker names no part, or the page has none.
    """
    if not _PART.search(page):
        raise InputError("the page has no markers <!-- bench:NAME --> ... <!-- /bench -->")
    left = []

    def part(match: re.Match[str]) -> str:
        if match[2] not in PARTS:
            raise InputError(f"there is no part '{match[2]}' of a report; choose one of {', '.join(PARTS)}")
        text = PARTS[match[2]](reports)
        if text is None:
            left.append(match[2])
            return match[0]
        return f"{match[1]}{text}\n{match[3]}"

    return _PART.sub(part, page), left


def main(arguments: Sequence[str] | None = None) -> None:
    """Fill the page and draw its figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("reports", type=Path, nargs="+", metavar="REPORT")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--page", type=Path, default=Path("docs/benchmarks.md"))
    parser.add_argument("--figures", type=Path, default=Path("docs/figures"))
    options = parser.parse_args(arguments)
    reports = read_reports(options.reports, options.results)
    page, left = filled(options.page.read_text(), reports)
    options.page.write_text(page)
    print(f"wrote {options.page}")
    for name in left:
        print(f"note: no report has the part '{name}'; it is as it was")
    scaled = [report for _, report in reports if report["format"] == LATENCY and report.get("scaling")]
    if scaled:
        plot_scaling(scaled[0], options.figures / SCALING_FIGURE)
        print(f"wrote {options.figures / SCALING_FIGURE}")


if __name__ == "__main__":
    main()
