"""Builds engines with a complete TensorRT on this GPU, compares them with float32, and times them.

    bash benchmarks/gpu/run.sh references
    PYTHON=/tmp/refusion-gpu/python/python bash benchmarks/gpu/run.sh engines [--sizes 640x480 ...]
        [--batches 1 4 8] [--precisions fp16 fp32] [--format tensorrt|tensorrt-rtx] [--seconds N]

One engine a size and precision, tuned for a batch of 1, taking up to the largest. Models come from
benchmarks/gpu/.kit/models (see `carry`). Engines stay in /tmp/refusion-gpu/engines as long as the machine is
held, so a second command goes on where the first ended. A build takes minutes; none is begun after
--seconds.

Writes engines-FORMAT.json and .md to $OUT after every measurement, layers-*.md (what each layer of the first
engine takes), and the builder's logs.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from refusion.backends.tensorrt.device import cuda_device
from refusion.backends.tensorrt.library import Flavour, Library, load_library
from refusion.backends.tensorrt.loading import LoadedEngine, load_engine
from refusion.backends.tensorrt.shapes import ShapeProfile
from refusion.backends.tensorrt.sidecar import log_of
from refusion.benchmarks.gpu import engine_runs
from refusion.benchmarks.gpu.folders import THERE, model_path, output_folder, start
from refusion.benchmarks.gpu.references import SIZES, Reference, load_rates
from refusion.benchmarks.gpu.report import Results, gpu_facts
from refusion.errors import RefusionError
from refusion.export.engine import EngineRequest, build_engine

ENGINES = THERE / "engines"
BATCHES = (1, 4, 8)


def engine_request(library: Library, size: str, batches: Sequence[int], precision: str) -> EngineRequest:
    """Return what builds the engine of a size from the model that came along."""
    width_px, height_px = (int(side) for side in size.split("x"))
    shape = (height_px, width_px)
    return EngineRequest(
        onnx=model_path(precision, library.onnx_form),
        folder=ENGINES,
        flavour=library.flavour,
        profile=ShapeProfile((min(batches), *shape), (min(batches), *shape), (max(batches), *shape)),
    )


def opened(flavour: Flavour, size: str, batches: Sequence[int], precision: str) -> tuple[LoadedEngine, Path]:
    """Build the engine of a size, unless it is there, and load it; also return its builder log."""
    request = engine_request(load_library(flavour), size, batches, precision)
    built = build_engine(request, report=print)
    with cuda_device().active(f"loading {built.path.name}"):
        return load_engine(built.path, rebuild=False), log_of(built.path)


def measure_engine(
    loaded: LoadedEngine,
    size: str,
    batches: Sequence[int],
    each: float,
    label: dict[str, Any],
    results: Results,
) -> None:
    """Measure an engine at every batch, for `each` seconds a time; the label begins every record."""
    reference, rates = Reference.load(size), load_rates()
    for batch in batches:
        try:
            found = engine_runs.measure(loaded, reference, batch, rates, each)
        except RefusionError as error:
            found = {"size": size, "batch": batch, "failed": str(error)}
        results.add({**label, **found})


def main(arguments: Sequence[str] | None = None) -> None:
    """Build and measure what the time allows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", nargs="+", default=SIZES, metavar="WxH")
    parser.add_argument("--batches", nargs="+", type=int, default=BATCHES)
    parser.add_argument("--precisions", nargs="+", choices=("fp16", "fp32"), default=["fp16", "fp32"])
    parser.add_argument("--format", choices=[flavour.value.text for flavour in Flavour], default="tensorrt")
    parser.add_argument("--seconds", type=float, default=330.0, help="begin no engine after these")
    parser.add_argument("--each", type=float, default=2.0, help="seconds a measurement")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    flavour = Flavour.parse(options.format)
    cuda_device()
    facts = {**gpu_facts(), "library": load_library(flavour).description, "rates": asdict(load_rates())}
    results = Results(output_folder() / f"engines-{options.format}.json", facts)
    profiled = False
    # The goals are about FP16: float32, the baseline, comes after all of it.
    for precision in options.precisions:
        for size in options.sizes:
            if time.monotonic() - started > options.seconds:
                print(f"time is up before {precision} {size}: run again with --precisions and --sizes")
                continue
            label = {"precision": precision}
            try:
                loaded = _open(flavour, size, options.batches, precision)
            except RefusionError as error:
                results.add({**label, "size": size, "failed": str(error)})
                continue
            measure_engine(loaded, size, options.batches, options.each, label, results)
            if not profiled:
                text = engine_runs.layer_times(loaded, Reference.load(size), min(options.batches))
                (output_folder() / f"layers-{options.format}-{precision}-{size}.md").write_text(text)
                profiled = True
            del loaded


def _open(flavour: Flavour, size: str, batches: Sequence[int], precision: str) -> LoadedEngine:
    started = time.monotonic()
    loaded, log = opened(flavour, size, batches, precision)
    print(f"{loaded.path.name}: ready after {time.monotonic() - started:.0f} s")
    shutil.copy(log, output_folder() / f"build-{flavour.value.text}-{precision}-{size}.log")
    return loaded


if __name__ == "__main__":
    start(main)
