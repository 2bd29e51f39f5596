"""The project's benchmarks on a GPU: latency, quality, roofline, as `make bench` runs them elsewhere.

    bash benchmarks/gpu/run.sh bench [--parts latency quality roofline] [--sizes 640x480 ...]
        [--backends NAME ...] [--devices cpu cuda] [--no-baselines] [--data DIR] [--name NAME] [--threads N]
        [--quick]

Engines are looked for in /tmp/refusion-gpu/engines, where the job `engines` leaves them, and built there from
benchmarks/gpu/.kit/models where this Python has TensorRT or TensorRT-RTX and none fits. Test pairs come from
benchmarks/gpu/.pack/quality (or --data); quality is left out without.

Writes NAME-latency-PYTHON.json, NAME-quality.json and NAME-roofline.json to $OUT as they are done, with GPU
and commit among their facts; their tables go to the terminal. The roofline takes in every latency report of
this holding of the machine. A part that fails is named, and does not keep the others from running.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from refusion.backends.tensorrt.library import available_flavours, load_library
from refusion.backends.tensorrt.search import FOLDERS_VARIABLE
from refusion.benchmarks.gpu import engines
from refusion.benchmarks.gpu.folders import KIT, PACKED, THERE, output_folder, packed_commit, start
from refusion.benchmarks.latency import tables
from refusion.benchmarks.latency.contenders import DEVICES
from refusion.benchmarks.latency.run import QUICK, Effort, LatencyRequest, devices_here
from refusion.benchmarks.latency.run import run as run_latency
from refusion.benchmarks.reports import write_report
from refusion.errors import InputError, RefusionError
from refusion.export.engine import build_engine

KEPT = THERE / "bench"
"""Latency reports of this holding of the machine, for the roofline: no Python has TensorRT and PyTorch."""

QUALITY_SETS = ("tno", "roadscene")
PARTS = ("latency", "quality", "roofline")
DATA = PACKED / "quality"


def latency(options: argparse.Namespace) -> dict[str, Any]:
    """Measure all that runs here, engines among it, and return the report."""
    os.environ[FOLDERS_VARIABLE] = str(engines.ENGINES)
    for size in options.sizes:
        _provide_engine(size)
    request = LatencyRequest(
        backends=options.backends,
        devices=tuple(options.devices),
        sizes=tuple(map(_size, options.sizes)),
        threads=options.threads,
        with_baselines=options.baselines,
        effort=QUICK if options.quick else Effort(),
    )
    report = run_latency(request, lambda line: print(f"... {line}", flush=True))
    print("\n\n".join((tables.network_table(report), tables.frames_table(report))))
    print("\n".join(f"left out: {line}" for line in tables.skipped_lines(report)))
    return report


def quality(options: argparse.Namespace) -> dict[str, Any]:
    """Measure our networks, average and visible on the test pairs, and return the report.

    Raises:
        InputError: There are no pairs.
    """
    from refusion.benchmarks.quality.asking import named_sets, own_method
    from refusion.benchmarks.quality.report_file import as_json
    from refusion.benchmarks.quality.run import QualityRequest
    from refusion.benchmarks.quality.run import run as run_quality
    from refusion.benchmarks.quality.tables import quality_table

    sets, _ = named_sets(QUALITY_SETS, options.data, 2 if options.quick else None)
    names = ("full", "lite", "average", "visible")
    methods = tuple(own_method(name, threads=options.threads) for name in names)
    report = as_json(run_quality(QualityRequest(sets, methods, threads=options.threads)))
    print(quality_table(report))
    return report


def roofline(options: argparse.Namespace) -> dict[str, Any]:
    """Set the times of the latency reports to the rates of this machine, and return the report."""
    from refusion.benchmarks import roofline
    from refusion.benchmarks.roofline_rates import SECONDS
    from refusion.benchmarks.roofline_tables import report_text

    seconds = 0.1 if options.quick else SECONDS
    report = roofline.run(sorted(KEPT.glob("*.json")), options.threads, seconds=seconds)
    print(report_text(report))
    return report


def _provide_engine(size: str) -> None:
    """Build the engine of a size as the job `engines` does, unless it is there; say why it cannot be."""
    for flavour in available_flavours()[:1]:
        try:
            request = engines.engine_request(load_library(flavour), size, engines.BATCHES, "fp16")
            build_engine(request, report=print)
        except RefusionError as error:
            print(f"no engine of {flavour.value.title} for {size}: {error}")


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return int(width), int(height)


def _with_facts(report: dict[str, Any]) -> dict[str, Any]:
    """Return a report with the commit, which a copy of the checkout does not know."""
    facts = report["facts"]
    return {**report, "facts": {**facts, "commit": facts["commit"] or packed_commit(KIT)}}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the parts, and write each report when it is there; end with status 1 if one failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--data", type=Path, default=DATA, help="with ivif/test and ivif/test_roadscene")
    parser.add_argument("--sizes", nargs="+", default=["640x480", "1280x720", "1920x1080"], metavar="WxH")
    parser.add_argument("--backends", nargs="+", metavar="NAME", help="that are timed; default: all")
    parser.add_argument(
        "--devices", nargs="+", choices=DEVICES, default=devices_here()[-1:], help="default: the GPU alone"
    )
    parser.add_argument("--no-baselines", dest="baselines", action="store_false")
    parser.add_argument("--name", default="gpu", help="of the device, in the names of the files")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: all")
    parser.add_argument("--quick", action="store_true", help="fewer calls, fewer pairs")
    options = parser.parse_args(arguments)
    out, python = output_folder(), f"py{sys.version_info.major}{sys.version_info.minor}"
    KEPT.mkdir(parents=True, exist_ok=True)
    timed = [out / f"{options.name}-latency-{python}.json", KEPT / f"{python}.json"]
    runs: dict[str, tuple[Callable[[argparse.Namespace], dict[str, Any]], list[Path]]] = {
        "latency": (latency, timed),
        "quality": (quality, [out / f"{options.name}-quality.json"]),
        "roofline": (roofline, [out / f"{options.name}-roofline.json"]),
    }
    failed = []
    for part in options.parts:
        run, targets = runs[part]
        try:
            report = _with_facts(run(options))
        except (RefusionError, ImportError) as error:
            failed.append(f"{part}: {error}")
            continue
        for target in targets:
            write_report(target, report, force=True)
            print(f"wrote {target}", flush=True)
    if failed:
        raise InputError("; ".join(failed))


if __name__ == "__main__":
    start(main)
