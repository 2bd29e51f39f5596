"""A report as Markdown tables: for the terminal and for the documentation."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from refusion.benchmarks.latency.baselines import Baseline
from refusion.benchmarks.latency.executors import WITHOUT_NETWORK
from refusion.benchmarks.latency.ratios import Ratio, samples_ratio
from refusion.benchmarks.latency.stages import STAGES, TOLERANCE

Report = dict[str, Any]
_PERCENTILES = ("p50_ms", "p95_ms", "p99_ms", "max_ms")


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table whose columns stand below each other in plain text, too."""
    widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
    lines = [columns, ["-" * width for width in widths], *rows]
    return "\n".join(
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |"
        for line in lines
    )


def network_table(report: Report) -> str:
    """Return the table of the network alone, with ratios to the baselines of its run, size and device."""
    results = report["network"]
    baselines = [one for one in Baseline if any(result["runner"] == one.name for result in results)]
    has_device_memory = any(result.get("device_mib") is not None for result in results)
    has_opening = any("open_s" in result for result in results)
    rows = []
    for result in results:
        times = result["network"]
        rows.append(
            [
                result["title"],
                _where(result),
                *(_ms(times[name]) for name in _PERCENTILES),
                f"{1e3 * result['batch'] / times['p50_ms']:.3g}",
                *(_ratio(times_as_fast(report, baseline, result)) for baseline in baselines),
                _difference(result["largest_difference"]),
                _number(result["run_mib"]),
                _number(result["peak_mib"]),
                *([_number(result.get("device_mib"))] if has_device_memory else []),
                *([f"{result['open_s']:.2f}"] if has_opening else []),
            ]
        )
    columns = (
        *("network alone", "size", "p50 ms", "p95", "p99", "max", "frames/s"),
        *(baseline.value.column for baseline in baselines),
        *("difference", "run MiB", "process MiB"),
        *(["GPU MiB"] if has_device_memory else []),
        *(["open s"] if has_opening else []),
    )
    return markdown(columns, rows)


def frames_table(report: Report) -> str:
    """Return the table of pairs to pictures: the stages' medians, what is between them, and the whole."""
    results = report["frames"]
    stages = _stages_of(results, ("pre", "network", "post"))
    has_between = any("between" in result for result in results)
    has_streams = any(result.get("stream_frames_per_s") for result in results)
    rows = []
    for result in results:
        frame = result["frame"]
        rows.append(
            [
                result["title"],
                _where(result),
                *(_stage(result, name) for name in stages),
                "-" if result["pre_and_post"] is None else _ms(result["pre_and_post"]["p50_ms"]),
                *([_between(result)] if has_between else []),
                *(_ms(frame[name]) for name in _PERCENTILES),
                *([_rate(result.get("stream_frames_per_s"))] if has_streams else []),
            ]
        )
    first, *others = stages
    columns = (
        *("pair to picture", "size", f"{first} ms", *others, "pre + post"),
        *(["between"] if has_between else []),
        *("all p50", "p95", "p99", "max"),
        *(["frames/s overlapped"] if has_streams else []),
    )
    return markdown(columns, rows)


def one_at_a_time_table(report: Report) -> str:
    """Return the table of two videos to one, one frame at a time: the stages' medians, and the whole."""
    results = report.get("one_at_a_time", [])
    stages = _stages_of(results, ("decode a", "decode b", "pair", "pre", "network", "post", "encode"))
    rows = [
        [
            result["title"],
            result["videos"],
            str(result["frame"]["calls"]),
            *(_stage(result, name) for name in stages),
            _between(result),
            *(_ms(result["frame"][name]) for name in _PERCENTILES),
        ]
        for result in results
    ]
    columns = ("one frame at a time", "videos", "frames", *(f"{name} ms" for name in stages))
    return markdown((*columns, "between", "all p50", "p95", "p99", "max"), rows)


def stages_table(report: Report) -> str:
    """Return the table of each stage by itself: of frames one at a time if there are any, else of pairs."""
    rows = []
    for result in report.get("one_at_a_time") or report["frames"]:
        what = (result["title"], result.get("videos") or _where(result))
        parts = {**result["stages"], "between": result["between"], "all": result["frame"]}
        whole_ms = result["frame"]["p50_ms"]
        for name, samples in parts.items():
            if name == "network" and _is_without_network(result):
                continue
            share = f"{100 * samples['p50_ms'] / whole_ms:.1f}"
            rows.append([*what, name, *(_ms(samples[percentile]) for percentile in _PERCENTILES), share])
    return markdown(("stage by stage", "of", "stage", "p50 ms", "p95", "p99", "max", "% of all p50"), rows)


def sums_lines(report: Report) -> list[str]:
    """Return whether the stages' medians add up to the whole's, a line for each table that claims it.

    What is between the stages counts as one of them. Where they do not, the line says by how much.
    """
    lines = []
    for section, name in (("frames", "pair to picture"), ("one_at_a_time", "one frame at a time")):
        shares = {
            f"{result['title']}, {_where(result)}": result["stages_share"]
            for result in report.get(section, [])
            if "stages_share" in result
        }
        if not shares:
            continue
        lines.append(
            f"{name}: the medians of the stages and of what is between them add up to "
            f"{100 * min(shares.values()):.0f} to {100 * max(shares.values()):.0f} % of the whole's"
        )
        lines += [
            f"{name}, {what}: they add up to {100 * share:.0f} %, which is off by more than "
            f"{100 * TOLERANCE:.0f} %"
            for what, share in shares.items()
            if abs(share - 1) > TOLERANCE
        ]
    return lines


def streams_table(report: Report) -> str:
    """Return the table of two videos to one: the rate, processor time, and the stages' medians."""
    results = report.get("streams", [])
    stages = _stages_of(results, ("decode a", "decode b", "pair", "pre", "network", "post", "encode"))
    rows = []
    for result in results:
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


def power_table(report: Report) -> str:
    """Return the table of power, energy and clocks: while nothing runs, then while each network does."""
    idle = report.get("sensors", {}).get("idle")
    told = [("nothing", "-", idle)] if idle else []
    told += [
        (result["title"], _where(result), result["power"])
        for result in report["network"]
        if result.get("power")
    ]
    rows = []
    for title, where, power in told:
        for sensor, quantities in power["sensors"].items():
            energy_j = power["energy_j_per_frame"].get(sensor)
            power_w = quantities.get("power_w", {}).get("mean")
            rows.append(
                [
                    title,
                    where,
                    sensor,
                    "-" if power_w is None else f"{power_w:.1f}",
                    "-" if energy_j is None else f"{1e3 * energy_j:.3g}",
                    _clocks(quantities),
                ]
            )
    return markdown(("running", "size", "told by", "W", "mJ a frame", "clocks MHz"), rows)


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
    sensors = report.get("sensors")
    if sensors and not sensors["found"]:
        lines.append(f"power and clocks: nothing here tells them ({'; '.join(sensors['missing'])})")
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
    """Return the ratio of medians to a baseline of the same size, batch and device; None if there is none."""
    other = _measured(report, baseline, result)
    return None if other is None else float(other["network"]["p50_ms"] / result["network"]["p50_ms"])


def ratio_to(report: Report, baseline: Baseline, result: dict[str, Any]) -> Ratio | None:
    """Return how many times as fast a result is as a baseline of the same size, batch and device, with the
    interval; None where there is none.
    """
    other = _measured(report, baseline, result)
    return None if other is None else samples_ratio(other["network"], result["network"])


def _measured(report: Report, baseline: Baseline, result: dict[str, Any]) -> dict[str, Any] | None:
    for other in report["network"]:
        if other["runner"] == baseline.name and _conditions(other) == _conditions(result):
            return dict(other)
    return None


def _conditions(result: dict[str, Any]) -> tuple[list[int], int, str]:
    # Reports of earlier versions are of CPUs alone.
    return result["size"], result["batch"], result.get("device", "cpu")


def _clocks(quantities: dict[str, dict[str, float]]) -> str:
    means = {
        name.replace("clock_mhz", ""): told["mean"] for name, told in quantities.items() if "clock" in name
    }
    return ", ".join(f"{name.strip('_') or 'cores'} {mean:.0f}" for name, mean in means.items()) or "-"


def _stages_of(results: Sequence[dict[str, Any]], usual: Sequence[str]) -> list[str]:
    """Return the usual stages, and those that any result has besides, in order."""
    return [name for name in STAGES if name in usual or any(name in result["stages"] for result in results)]


def _stage(result: dict[str, Any], name: str) -> str:
    if name not in result["stages"] or (name == "network" and _is_without_network(result)):
        return "-"
    return _ms(result["stages"][name]["p50_ms"])


def _is_without_network(result: dict[str, Any]) -> bool:
    return str(result["title"]).split(",")[0] == WITHOUT_NETWORK


def _between(result: dict[str, Any]) -> str:
    return _ms(result["between"]["p50_ms"]) if "between" in result else "-"


def _where(result: dict[str, Any]) -> str:
    batch = result.get("batch", 1)
    return size_text(result) + (f", batch {batch}" if batch > 1 else "")


def size_text(result: dict[str, Any]) -> str:
    """Return the size of a result as WIDTHxHEIGHT."""
    return "x".join(map(str, result["size"]))


def _ms(value: float) -> str:
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _difference(value: float | None) -> str:
    return "-" if value is None else f"{value:.1e}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"
