"""A report of quality as Markdown tables: for the terminal and for the documentation."""

from __future__ import annotations

from typing import Any

from refusion.benchmarks.latency.tables import markdown
from refusion.benchmarks.quality.known_figures import TOLERANCE
from refusion.metrics import METRICS

Report = dict[str, Any]


def quality_table(report: Report, title: str | None = None) -> str:
    """Return the means of all metrics, a row a method on a set.

    Args:
        report: As `refusion bench quality --json` writes it.
        title: Of the one set to show; None: all, named in the first column.
    """
    rows = []
    for result in report["results"]:
        if title in (None, result["set"]):
            what = [result["set"], str(result["pairs"])] if title is None else []
            rows.append([*what, result["method"], *(number(result["means"][name]) for name in METRICS)])
    columns = (*(("set", "pairs") if title is None else ()), "method", *METRICS)
    return markdown(columns, rows)


def video_table(report: Report) -> str:
    """Return how steady clips are under each method, gray levels a frame; empty without clips."""
    rows = [
        [one["set"], str(len(one["clips"])), one["method"], f"{one['flicker']:.3f}", f"{one['excess']:.3f}"]
        for one in report["video"]
    ]
    return markdown(("set", "clips", "method", "flicker", "excess flicker"), rows) if rows else ""


def check_lines(report: Report) -> list[str]:
    """Return how far methods whose figures are known are from these, a line each."""
    return [
        f"{one['method']} on {one['set']}: "
        + ("every metric is" if one["agrees"] else "DO NOT TRUST THIS RUN, not every metric is")
        + f" within {100 * TOLERANCE:g} % of the known figures; {one['metric']} differs most, "
        f"by {100 * one['difference']:+.2f} %"
        for one in report["checks"]
    ]


def skipped_lines(report: Report) -> list[str]:
    """Return what was left out and why, a line each."""
    return [f"{one['what']}: {one['why']}" for one in report["skipped"]]


def number(value: float) -> str:
    """Return a metric with the digits that published tables have: three decimals below 10, else two."""
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.2f}"
