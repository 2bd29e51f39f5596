"""The table of devices: a row for each machine of which a latency report is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from refusion.backends import BACKENDS
from refusion.benchmarks.latency import FORMAT as LATENCY
from refusion.benchmarks.latency.baselines import Baseline
from refusion.benchmarks.latency.tables import markdown
from refusion.benchmarks.reports import Report
from refusion.benchmarks.roofline import FORMAT as ROOFLINE
from refusion.models import Model

SIZE = [640, 480]
FURTHER = ("-scaling", "-roofline", "-quality", "-video", "-ops", "-flicker", "-alignment")
"""Ends of names of what else was measured on a device, whose latency report has the name without."""


def devices_table(reports: Sequence[tuple[str, Report]]) -> str | None:
    """Return a row for each device, by name: the quickest that runs each network unasked, at 640x480.

    Args:
        reports: With the names of their files: NAME is a device's latency report, NAME-roofline its roofline.
    """
    rooflines = {name: report for name, report in reports if report["format"] == ROOFLINE}
    rows = {
        name: _row(name, report, rooflines.get(f"{name}-roofline"))
        for name, report in reports
        if report["format"] == LATENCY and not name.endswith(FURTHER)
    }
    columns = (
        *("device", "processor", "threads", "official eager ms"),
        *(
            head
            for model in Model
            for head in (f"{model.name} ms", "with", "pair to picture ms", "floor / time")
        ),
        *("date", "commit"),
    )
    return markdown(columns, [rows[name] for name in sorted(rows)]) if rows else None


def _row(name: str, report: Report, roofline: Report | None) -> list[str]:
    facts = report["facts"]
    own = [one for one in report["network"] if one["size"] == SIZE and one["batch"] == 1]
    official = [one["network"]["p50_ms"] for one in own if one["runner"] == Baseline.official.name]
    gpus = [gpu["name"] for gpu in facts.get("gpus", [])]
    row = [
        f"[{name}](../benchmarks/results/{name}.json)",
        ", ".join([facts.get("board") or facts["processor"], *gpus]),
        str(facts["threads"]),
        _ms(min(official)) if official else "-",
    ]
    for model in Model:
        row += _cells(model, own, report, roofline)
    return [*row, facts["date"][:10], facts["commit"] or "unknown"]


def _cells(model: Model, own: list[dict[str, Any]], report: Report, roofline: Report | None) -> list[str]:
    """Return time, runner, time of whole frames and share of the floor of the quickest way."""
    ours = [one for one in own if one["model"] == model.name and _is_taken_unasked(one["runner"])]
    if not ours:
        return ["-"] * 4
    best = min(ours, key=lambda one: float(one["network"]["p50_ms"]))

    def is_it(one: dict[str, Any]) -> bool:
        return bool(one["title"] == best["title"] and one["size"] == SIZE)

    frames = [one["frame"]["p50_ms"] for one in report["frames"] if is_it(one)]
    shares = [one["share"] for one in (roofline or {}).get("closeness", []) if is_it(one)]
    return [
        _ms(best["network"]["p50_ms"]),
        best["title"].removeprefix(f"{model.name}, "),
        _ms(frames[0]) if frames else "-",
        f"{shares[0]:.0%}" if shares else "-",
    ]


def _is_taken_unasked(runner: str) -> bool:
    return runner in BACKENDS and BACKENDS[runner].unasked


def _ms(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
