"""Pictures of a report: comparison sheets, and plots of the metrics."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

from refusion.benchmarks.quality.intervals import GOALS
from refusion.benchmarks.quality.measuring import Measured
from refusion.benchmarks.quality.methods import Kind
from refusion.errors import BackendError
from refusion.stream.views import contact_sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TILE_WIDTH_PX = 240
JPEG_QUALITY = 90
STEADY = 0.01
"""Excess flicker that counts as steady, gray levels a frame."""
_COLOURS = {
    Kind.model: "#c2610c",
    Kind.official: "#1668c9",
    Kind.third_party: "#12804a",
    Kind.classical: "#8b95a1",
}


def sheet(results: Sequence[Measured]) -> bytes:
    """Return the sources and all methods' pictures of some pairs of one set side by side, as JPEG."""
    task = results[0].data.task.value
    labels = [task.source_a, task.source_b, *(one.method for one in results)]
    rows = [
        [shown[0].pair.a, shown[0].pair.b, *(one.fused for one in shown)]
        for shown in zip(*(one.shown for one in results), strict=True)
    ]
    _, encoded = cv2.imencode(
        ".jpg",
        contact_sheet(rows, labels, tile_width_px=TILE_WIDTH_PX),
        (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY),
    )
    return encoded.tobytes()


def require_plots() -> None:
    """Raise BackendError where plots cannot be drawn."""
    if importlib.util.find_spec("matplotlib") is None:
        raise BackendError("drawing needs matplotlib: pip install 'refusion[bench]'")


def metrics_plot(results: Sequence[Measured]) -> bytes:
    """Return how the metrics of one set are spread over its pairs, as PNG: a box a method."""
    figure = _figure(12, 6.6)
    for axes, name in zip(figure.subplots(2, (len(GOALS) + 1) // 2).flat, GOALS, strict=False):
        values = [[record.values[name] for record in one.records] for one in results]
        boxes = axes.boxplot(values, whis=(5, 95), showmeans=True, patch_artist=True, showfliers=False)
        for box, one in zip(boxes["boxes"], results, strict=True):
            box.set(facecolor=_COLOURS[one.kind], alpha=0.55)
        for part in (*boxes["medians"], *boxes["means"]):
            part.set(color="black", markerfacecolor="black", markeredgecolor="black", markersize=4)
        axes.set_title(name)
        _name_methods(axes, results)
    data, count = results[0].data, len(results[0].records)
    what = f"{data.title}, {count} {'frames' if data.clips else 'pairs'}"
    figure.suptitle(f"{what}: quartiles, 5 to 95 %, median (line), mean (triangle)")
    return _png(figure)


def flicker_plot(results: Sequence[Measured]) -> bytes:
    """Return the excess flicker of one set, as PNG: a bar a method for the mean, a dot a clip."""
    figure = _figure(9, 4.2)
    axes = figure.subplots()
    for place, one in enumerate(results, start=1):
        excess = [clip.excess for clip in one.flicker.values()]
        axes.bar(place, np.mean(excess), color=_COLOURS[one.kind], alpha=0.55)
        axes.plot([place] * len(excess), excess, "k.", markersize=5)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.axhline(STEADY, color="black", linewidth=0.8, linestyle=":", label=f"steady: {STEADY:g}")
    axes.set_ylabel("excess flicker, gray levels a frame")
    axes.legend(frameon=False)
    _name_methods(axes, results)
    figure.suptitle(f"{results[0].data.title}: flicker of fused clips minus the mean of both sources'")
    return _png(figure)


def _figure(width_in: float, height_in: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _name_methods(axes: Axes, results: Sequence[Measured]) -> None:
    names = [one.method for one in results]
    axes.set_xticks(range(1, len(names) + 1), names, rotation=40, ha="right")
    axes.grid(axis="y", alpha=0.3)


def _png(figure: Figure) -> bytes:
    target = io.BytesIO()
    # Without the version that matplotlib notes, the same results give the same file.
    figure.savefig(target, format="png", dpi=110, metadata={"Software": None})
    return target.getvalue()
