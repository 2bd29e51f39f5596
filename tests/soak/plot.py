"""Draws what two_cameras.py measured: memory, latency and frame rate against time, outages shaded.

python tests/soak/plot.py soak.json soak.png
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("agg")
from matplotlib import pyplot as plt

RATE_OVER_S = 10.0
"""Frames are counted over so long for a point of the rate."""


def main() -> None:
    """Draw a report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("report", type=Path, help="what two_cameras.py wrote with --json")
    parser.add_argument("plot", type=Path, help="picture to write")
    options = parser.parse_args()
    draw(json.loads(options.report.read_text()), options.plot)


def draw(report: dict[str, Any], target: Path) -> None:
    """Write the plot of a report of two_cameras.py."""
    samples = report["samples"]
    minutes = [one["time_s"] / 60 for one in samples]
    figure, axes = plt.subplots(3, 1, sharex=True, figsize=(9, 6), layout="constrained")
    axes[0].plot(minutes, [one["memory_mib"] for one in samples])
    axes[0].set_ylabel("resident memory, MiB")
    axes[1].plot(minutes, [_number(one["latency_ms"]) for one in samples], linewidth=0.7)
    axes[1].set_ylabel("latency p50, ms")
    axes[2].plot(*_rates(samples))
    axes[2].set_ylabel("fused frames/s")
    axes[2].set_xlabel("minutes")
    for axis in axes:
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
        for start_s, end_s in _outages(samples):
            axis.axvspan(start_s / 60, end_s / 60, color="tab:red", alpha=0.15, linewidth=0)
    axes[0].set_title("Two RTSP cameras; the infrared one is away where shaded")
    figure.savefig(target, dpi=110)


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _rates(samples: list[dict[str, Any]]) -> tuple[list[float], list[float]]:
    minutes, rates = [], []
    first = samples[0]
    for one in samples:
        if one["time_s"] - first["time_s"] >= RATE_OVER_S:
            minutes.append(one["time_s"] / 60)
            rates.append((one["fused"] - first["fused"]) / (one["time_s"] - first["time_s"]))
            first = one
    return minutes, rates


def _outages(samples: list[dict[str, Any]]) -> list[tuple[float, float]]:
    """Return from when to when the infrared camera was not live."""
    found = []
    since: float | None = None
    for one in samples:
        is_live = one["states"]["infrared"] == "live"
        if is_live and since is not None:
            found.append((since, one["time_s"]))
            since = None
        elif not is_live and since is None:
            since = one["time_s"]
    return found


if __name__ == "__main__":
    main()
