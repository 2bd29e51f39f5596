"""The parts of the documentation that are written from reports, by the names of their markers."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence

from refusion.benchmarks import alignment, flicker, ops, roofline_tables
from refusion.benchmarks.latency import FORMAT as LATENCY
from refusion.benchmarks.latency import tables
from refusion.benchmarks.page_devices import devices_table
from refusion.benchmarks.page_ratios import ratios_text
from refusion.benchmarks.quality import tables as quality_tables
from refusion.benchmarks.quality.report_file import FORMAT as QUALITY
from refusion.benchmarks.reports import Report
from refusion.benchmarks.roofline import FORMAT as ROOFLINE

Reports = Sequence[tuple[str, Report]]
"""Names of files, without suffix, and what is in them; the page's own machine first."""

Part = Callable[[Reports], str | None]
"""Returns what stands between two markers; None where no report has it."""

NOT_MEASURED = "Not measured."

_PACKAGES = (
    ("Python", "python"),
    ("torch", "torch"),
    ("ONNX Runtime", "onnxruntime"),
    ("OpenCV", "opencv"),
    ("NumPy", "numpy"),
    ("PyAV", "av"),
)


def run_text(report: Report) -> str:
    """Return when and on what a report was measured, in a line."""
    facts = report["facts"]
    threads = "1 thread" if facts["threads"] == 1 else f"{facts['threads']} threads"
    return (
        f"Measured {facts['date'][:10]} on {facts['processor']}, {threads}, commit "
        f"{facts['commit'] or 'unknown'}, load before the run {facts['load_average_1min']}."
    )


def machine_text(report: Report) -> str:
    """Return what the figures were measured on, as a sentence or two."""
    facts = report["facts"]
    versions = ", ".join(f"{name} {facts[key]}" for name, key in _PACKAGES if facts.get(key))
    compiler = facts.get("native_build", {}).get("compiler")
    text = (
        f"{run_text(report)} It has {', '.join(facts['instruction_sets'])}; {facts['system']}; "
        f"{versions}{f', {compiler}' if compiler else ''}."
    )
    return textwrap.fill(text, 120, break_on_hyphens=False)


def power_text(report: Report) -> str:
    """Return power and clocks, where anything tells them."""
    if not report["sensors"]["found"]:
        return "Nothing told them here; what was left out says why."
    return tables.power_table(report)


def first_of(format_name: str, text: Callable[[Report], str], *, needs: str = "facts") -> Part:
    """Return a part that is written from the first report of a format that has what it needs.

    Where there are reports of the format, and none has it, the part says so: what an older report had must
    not stand beside the tables of this one.

    Args:
        format_name: Of the reports.
        text: Writes it.
        needs: Which key the report must have, not empty.
    """

    def part(reports: Reports) -> str | None:
        alike = [report for _, report in reports if report["format"] == format_name]
        if not alike:
            return None
        return next((text(report) for report in alike if report.get(needs)), NOT_MEASURED)

    return part


def _scaling(by: str) -> Part:
    return first_of(LATENCY, lambda report: tables.scaling_table(report, by=by), needs="scaling")


def _list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines) or "Nothing."


PARTS: dict[str, Part] = {
    "devices": devices_table,
    "ratios": ratios_text,
    "machine": first_of(LATENCY, machine_text),
    "network": first_of(LATENCY, tables.network_table),
    "frames": first_of(LATENCY, tables.frames_table, needs="frames"),
    "stages": first_of(LATENCY, tables.stages_table, needs="one_at_a_time"),
    "streams": first_of(LATENCY, tables.streams_table, needs="streams"),
    "one-at-a-time": first_of(LATENCY, tables.one_at_a_time_table, needs="one_at_a_time"),
    "sums": first_of(LATENCY, lambda report: _list(tables.sums_lines(report)), needs="one_at_a_time"),
    "power": first_of(LATENCY, power_text, needs="sensors"),
    "left-out": first_of(LATENCY, lambda report: _list(tables.skipped_lines(report))),
    "scaling-run": first_of(LATENCY, run_text, needs="scaling"),
    **{f"scaling-{by}": _scaling(by) for by in ("size", "batch", "threads")},
    "scaling-left-out": first_of(
        LATENCY, lambda report: _list(tables.skipped_lines(report)), needs="scaling"
    ),
    "quality-run": first_of(QUALITY, run_text),
    "quality": first_of(QUALITY, quality_tables.quality_table),
    "quality-clips": first_of(QUALITY, quality_tables.quality_table, needs="video"),
    "quality-video": first_of(QUALITY, quality_tables.video_table, needs="video"),
    "quality-left-out": first_of(QUALITY, lambda report: _list(quality_tables.skipped_lines(report))),
    "roofline-run": first_of(ROOFLINE, run_text),
    "roofline-counts": first_of(ROOFLINE, roofline_tables.counts_table),
    "roofline-rates": first_of(ROOFLINE, roofline_tables.rates_table),
    "roofline": first_of(ROOFLINE, roofline_tables.closeness_table, needs="closeness"),
    "roofline-predictions": first_of(ROOFLINE, roofline_tables.predictions_table),
    "roofline-sources": first_of(ROOFLINE, roofline_tables.sources_text),
    "ops-run": first_of(ops.FORMAT, run_text),
    "ops": first_of(ops.FORMAT, ops.report_table),
    "ops-warps": first_of(ops.FORMAT, ops.report_warp_table),
    "flicker-run": first_of(flicker.FORMAT, run_text),
    "flicker": first_of(flicker.FORMAT, flicker.report_table),
    "alignment-run": first_of(alignment.FORMAT, run_text),
    "alignment": first_of(alignment.FORMAT, alignment.report_table),
}
