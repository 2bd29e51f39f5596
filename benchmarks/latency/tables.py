"""A report as Markdown tables: for the terminal and for the documentation."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from refusion.benchmarks.latency.contenders import Baseline
from refusion.benchmarks.latency.executors import WITHOUT_NETWORK

Report = dict[str, Any]


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table whose columns stand below each other in plain text, too."""
    widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
    lines = [columns, ["-" * width for width in widths], *rows]
    return "\n".join(
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |"
        for line in lines
    )


def network_table(report: Report) -> str:
    """Return the table of the network alone, with ratios to both baselines of the same run and size."""
    rows = []
    for result in report["network"]:
        times = result["network"]
        rows.append(
            [
                result["title"],
                _size(result) + (f", batch {result['batch']}" if result["batch"] > 1 else ""),
                *(_ms(times[name]) for name in ("p50_ms", "p95_ms", "p99_ms", "max_ms")),
                f"{1e3 * result['batch'] / times['p50_ms']:.3g}",
                *(_ratio(times_as_fast(report, baseline, result)) for baseline in Baseline),
                _difference(result["largest_difference"]),
                _number(result["run_mib"]),
                _number(result["peak_mib"]),
            ]
        )
    columns = (
        *("network alone", "size", "p50 ms", "p95", "p99", "max", "frames/s"),
        *("x official", "x naive ONNX", "difference", "run MiB", "process MiB"),
    )
    return markdown(columns, rows)


def frames_table(report: Report) -> str:
    """Return the table of pairs to pictures: the stages' medians, and the whole."""
    rows = []
    for result in report["frames"]:
        frame = result["frame"]
        rows.append(
            [
                result["title"],
                _size(result),
                *(_stage(result, name) for name in ("pre", "network", "post")),
                "-" if result["pre_and_post"] is None else _ms(result["pre_and_post"]["p50_ms"]),
                *(_ms(frame[name]) for name in ("p50_ms", "p95_ms", "p99_ms", "max_ms")),
            ]
        )
    columns = (
        "pair to picture",
        "size",
        "pre ms",
        "network",
        "post",
        "pre + post",
        "all p50",
        "p95",
        "p99",
        "max",
    )
    return markdown(columns, rows)


def streams_table(report: Report) -> str:
    """Return the table of two videos to one: the rate, processor time, and the stages' medians."""
    stages = ("decode a", "decode b", "pair", "pre", "network", "post", "encode")
    rows = []
    for result in report.get("streams", []):
        rows.append(
            [
                result["title"],
                result["videos"],
                str(sum(run["frames"] for run in result["runs"])),
                f"{result['frames_per_s']:.1f}",
                _ms(result["processor_ms_per_frame"]),
                *(_stage(result, name) for name in stages),
            ]
        )
    columns = ("videos to video", "videos", "frames", "frames/s", "processor ms a frame")
    return markdown((*columns, *(f"{name} ms" for name in stages)), rows)


def scaling_table(report: Report, *, by: str) -> str:
    """Return the time a frame and memory, a column a contender.

    Args:
        report: With scaling.
        by: What changes along the rows: "size", "batch" or "threads".
    """
    results = report.get("scaling", [])
    usual = statistics.mode(result["threads"] for result in results)
    chosen = [
        result
        for result in results
        if (by == "batch" or result["batch"] == 1)
        and (by == "threads" or result["threads"] == usual)
        and (by == "size" or result["size"] == report["settings"]["scaling_size"])
    ]
    if by != "size":
        chosen = [result for result in chosen if result["runner"] not in Baseline.__members__]
    titles = list(dict.fromkeys(result["title"] for result in chosen))
    keys = sorted({_key(result, by) for result in chosen})
    cells = {(result["title"], _key(result, by)): _scaling_cell(result) for result in chosen}
    rows = [["x".join(map(str, key)), *(cells.get((title, key), "-") for title in titles)] for key in keys]
    return markdown((by, *titles), rows)


def skipped_lines(report: Report) -> list[str]:
    """Return what was left out, a line each."""
    lines = []
    for one in report["skipped"]:
        size = f", {one['size'][0]}x{one['size'][1]}" if one["size"] else ""
        lines.append(f"{one['what']}{size}: {one['why']}")
    return lines


def facts_lines(report: Report) -> list[str]:
    """Return what the figures depend on, a line each."""
    facts = {**report["facts"], **{f"weights {k}": v for k, v in report["weights"].items()}}
    return [f"{name}: {value}" for name, value in {**facts, **report["settings"]}.items()]


def _key(result: dict[str, Any], by: str) -> tuple[int, ...]:
    return tuple(result["size"]) if by == "size" else (result[by],)


def _scaling_cell(result: dict[str, Any]) -> str:
    frame_ms = result["network"]["p50_ms"] / result["batch"]
    time = f"{frame_ms:.3g} ms" if frame_ms < 1000 else f"{frame_ms / 1e3:.3g} s"
    return f"{time}, {result['run_mib']:.0f} MiB"


def times_as_fast(report: Report, baseline: Baseline, result: dict[str, Any]) -> float | None:
    """Return the ratio of medians to a baseline of the same size and batch; None where there is none."""
    for other in report["network"]:
        same = all(other[name] == result[name] for name in ("size", "batch"))
        if other["runner"] == baseline.name and same:
            return float(other["network"]["p50_ms"] / result["network"]["p50_ms"])
    return None


def _stage(result: dict[str, Any], name: str) -> str:
    if name not in result["stages"] or (name == "network" and result["title"] == WITHOUT_NETWORK):
        return "-"
    return _ms(result["stages"][name]["p50_ms"])


def _size(result: dict[str, Any]) -> str:
    return "x".join(map(str, result["size"]))


def _ms(value: float) -> str:
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _difference(value: float | None) -> str:
    return "-" if value is None else f"{value:.1e}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"
