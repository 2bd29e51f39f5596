"""Time of the network against pixels, as a picture."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from refusion.errors import BackendError, InputError

_TICKS = {"QVGA": 320 * 240, "VGA": 640 * 480, "720p": 1280 * 720, "1080p": 1920 * 1080, "4K": 3840 * 2160}


def plot_scaling(report: dict[str, Any], target: Path) -> None:
    """Draw seconds and memory of a frame against its pixels, both axes logarithmic, a line a contender.

    Args:
        report: With scaling.
        target: The `.png` to write.

    Raises:
        InputError: The report has no scaling.
        BackendError: matplotlib is not installed.
    """
    if not report.get("scaling"):
        raise InputError("the report has no scaling to draw: run `refusion bench latency --scaling`")
    if importlib.util.find_spec("matplotlib") is None:
        raise BackendError("drawing needs matplotlib: pip install 'refusion[bench]'")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    usual = max(result["threads"] for result in report["scaling"])
    chosen = [one for one in report["scaling"] if one["batch"] == 1 and one["threads"] == usual]
    figure = Figure(figsize=(9.5, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    time_axes, memory_axes = figure.subplots(1, 2)
    for title in dict.fromkeys(one["title"] for one in chosen):
        line = sorted((one for one in chosen if one["title"] == title), key=lambda one: _pixels(one))
        pixels = [_pixels(one) for one in line]
        time_axes.plot(pixels, [one["network"]["p50_ms"] / 1e3 for one in line], marker="o", label=title)
        memory_axes.plot(pixels, [max(one["run_mib"], 1) / 1024 for one in line], marker="o", label=title)
    for axes, name in ((time_axes, "seconds a frame"), (memory_axes, "memory of a run, GiB")):
        axes.set(xscale="log", yscale="log", ylabel=name)
        axes.set_xticks(list(_TICKS.values()), list(_TICKS))
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    figure.legend(*time_axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle(f"Network alone, {report['facts']['processor']}, {usual} threads")
    # Without the versions and dates that matplotlib notes, the same report gives the same file.
    figure.savefig(target, dpi=110, metadata={"Software": None})


def _pixels(result: dict[str, Any]) -> int:
    width, height = result["size"]
    return int(width) * int(height)
