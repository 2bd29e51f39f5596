"""Writes the tables of the documentation from reports: no number is typed by hand.

    python -m refusion.benchmarks.pages REPORT.json [--page docs/benchmarks.md] [--figures docs/figures]

A page holds markers, `<!-- bench:NAME -->` and `<!-- /bench -->`; what is between them is replaced.
"""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from refusion.benchmarks.latency import tables
from refusion.benchmarks.latency.contenders import Baseline
from refusion.benchmarks.latency.plot import plot_scaling
from refusion.benchmarks.latency.report_file import read_report
from refusion.errors import InputError

_PART = re.compile(r"(<!-- bench:([a-z-]+) -->\n).*?(<!-- /bench -->)", re.DOTALL)
SCALING_FIGURE = "scaling.png"


def machine_text(report: dict[str, Any]) -> str:
    """Return what the figures were measured on, as a sentence or two."""
    facts = report["facts"]
    versions = ", ".join(
        f"{name} {facts[key]}"
        for name, key in (
            ("Python", "python"),
            ("torch", "torch"),
            ("ONNX Runtime", "onnxruntime"),
            ("OpenCV", "opencv"),
            ("NumPy", "numpy"),
            ("PyAV", "av"),
        )
        if facts.get(key)
    )
    compiler = facts.get("native_build", {}).get("compiler")
    text = (
        f"Machine: {facts['processor']}, {facts['threads']} threads, {', '.join(facts['instruction_sets'])}; "
        f"{facts['system']}; {versions}{f', {compiler}' if compiler else ''}. "
        f"Commit {facts['commit'] or 'unknown'}, {facts['date'][:10]}, load before the run "
        f"{facts['load_average_1min']}."
    )
    return textwrap.fill(text, 120, break_on_hyphens=False) + "\n"


def ratios_text(report: dict[str, Any]) -> str:
    """Return how many times as fast as the baselines each of our backends runs the full network."""
    lines = []
    for result in report["network"]:
        if result["model"] != "full" or result["runner"] in Baseline.__members__:
            continue
        ratios = {one.value.text: tables.times_as_fast(report, one, result) for one in Baseline}
        stated = [f"{ratio:.1f} times as fast as {text}" for text, ratio in ratios.items() if ratio]
        if stated:
            width, height = result["size"]
            lines.append(f"- {result['title']}, {width}x{height}: {' and '.join(stated)}")
    return "\n".join(lines) + "\n"


def left_out_text(report: dict[str, Any]) -> str:
    """Return what was left out and why, as a list."""
    return "\n".join(f"- {line}" for line in tables.skipped_lines(report)) + "\n"


PARTS: dict[str, Callable[[dict[str, Any]], str]] = {
    "machine": machine_text,
    "ratios": ratios_text,
    "network": lambda report: tables.network_table(report) + "\n",
    "frames": lambda report: tables.frames_table(report) + "\n",
    "streams": lambda report: tables.streams_table(report) + "\n",
    "scaling-size": lambda report: tables.scaling_table(report, by="size") + "\n",
    "scaling-batch": lambda report: tables.scaling_table(report, by="batch") + "\n",
    "scaling-threads": lambda report: tables.scaling_table(report, by="threads") + "\n",
    "left-out": left_out_text,
}


def filled(page: str, report: dict[str, Any]) -> str:
    """Return a page with what is between its markers written from a report.

    Raises:
        InputError: A marker names no part, or the page has none.
    """
    if not _PART.search(page):
        raise InputError("the page has no markers <!-- bench:NAME --> ... <!-- /bench -->")

    def part(match: re.Match[str]) -> str:
        if match[2] not in PARTS:
            raise InputError(f"there is no part '{match[2]}' of a report; choose one of {', '.join(PARTS)}")
        return match[1] + PARTS[match[2]](report) + match[3]

    return _PART.sub(part, page)


def main(arguments: Sequence[str] | None = None) -> None:
    """Fill the page and draw its figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("report", type=Path)
    parser.add_argument("--page", type=Path, default=Path("docs/benchmarks.md"))
    parser.add_argument("--figures", type=Path, default=Path("docs/figures"))
    options = parser.parse_args(arguments)
    report = read_report(options.report)
    options.page.write_text(filled(options.page.read_text(), report))
    print(f"wrote {options.page}")
    if report.get("scaling"):
        plot_scaling(report, options.figures / SCALING_FIGURE)
        print(f"wrote {options.figures / SCALING_FIGURE}")


if __name__ == "__main__":
    main()
