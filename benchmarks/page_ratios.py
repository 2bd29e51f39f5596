"""How many times as fast as the baselines our networks are, with what another run may find."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from refusion.benchmarks.latency import FORMAT as LATENCY
from refusion.benchmarks.latency import tables
from refusion.benchmarks.latency.baselines import Baseline
from refusion.benchmarks.latency.ratios import Ratio
from refusion.benchmarks.reports import Report


def ratios_text(reports: Sequence[tuple[str, Report]]) -> str | None:
    """Return the ratios of the first latency report, as a list.

    The intervals are those of all runs on the same machine together, from the lowest end to the highest:
    one run's own (bootstrap) does not know what changes from run to run.
    """
    latency = [report for _, report in reports if report["format"] == LATENCY]
    if not latency:
        return None
    own = latency[0]
    runs = list({run["facts"]["date"]: run for run in latency if _machine(run) == _machine(own)}.values())
    lines = [f"In parentheses 95 % intervals, of {len(runs)} run{'s'[: len(runs) > 1]}.", ""]
    for result in own["network"]:
        if result["model"] != "full" or result["runner"] in Baseline.__members__:
            continue
        stated = []
        for baseline in Baseline:
            found = [one for run in runs if (one := _times_as_fast(run, baseline, result)) is not None]
            if found:
                low, high = min(one.low for one in found), max(one.high for one in found)
                stated.append(
                    f"{found[0].value:.1f} ({low:.1f} to {high:.1f}) times as fast as {baseline.value.text}"
                )
        if stated:
            width, height = result["size"]
            lines.append(f"- {result['title']}, {width}x{height}: {'; '.join(stated)}")
    return "\n".join(lines)


def _machine(report: Report) -> tuple[Any, ...]:
    return tuple(report["facts"][name] for name in ("processor", "threads"))


def _times_as_fast(report: Report, baseline: Baseline, result: dict[str, Any]) -> Ratio | None:
    """Return the ratio that a report, perhaps of another run, has for the network of a result."""
    for one in report["network"]:
        if all(one.get(key) == result.get(key) for key in ("title", "size", "batch", "device")):
            return tables.ratio_to(report, baseline, one)
    return None
