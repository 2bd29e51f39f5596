"""Times the two kinds of training step, and measures their memory, against a straight transcription.

    python -m refusion.benchmarks.training_step [--patch N] [--batch N] [--repeats N] [--threads N]
        [--device cpu|cuda] [--kinds meta descend] [--variants NAME ...] [--json FILE]

The transcription keeps the inner updates of a meta step in the graph and differentiates through them twice.
Both give the same gradient (tests/training/test_meta.py). Every variant runs in a process of its own, so that
its peak memory is its own: resident memory of the process on a CPU, allocated memory on a GPU. Memory grows
with the pixels of a mini-batch: at --patch 128 --batch 8 a transcribed meta step would take 27 GiB by that.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from refusion.benchmarks.facts import facts
from refusion.benchmarks.measurement import peak_resident_mib, print_facts, write_report
from refusion.benchmarks.transcription import TranscribedSteps
from refusion.training.configuration import TrainingConfiguration
from refusion.training.data import Batch
from refusion.training.graphs import GraphedSteps
from refusion.training.losses import LossFactors
from refusion.training.steps import Steps

FORMAT = "refusion-training-step-1"

FACTORS = LossFactors(gradient=0.5)
KINDS = {"meta": "meta step", "descend": "fusion + reconstruction step"}

# On a GPU steps are queued, as in training, and waited for together.
STEPS_AT_ONCE = {"cpu": 1, "cuda": 10}
WARM_UP_STEPS = {"cpu": 1, "cuda": 5}


class Variant(NamedTuple):
    """A way to take the steps."""

    title: str
    settings: tuple[str, ...] = ()
    graphed: bool = False


TRANSCRIPTION = "transcription"

VARIANTS = {
    "ours": Variant("ours"),
    "bfloat16": Variant("ours, bfloat16", ("precision=bfloat16",)),
    "graph": Variant("ours, CUDA graph", graphed=True),
    "graph-bfloat16": Variant("ours, CUDA graph, bfloat16", ("precision=bfloat16",), graphed=True),
    "graph-compile": Variant("ours, CUDA graph, compiled", ("compile=true",), graphed=True),
    "graph-compile-bfloat16": Variant(
        "ours, CUDA graph, compiled, bfloat16", ("compile=true", "precision=bfloat16"), graphed=True
    ),
}


class Measurement(NamedTuple):
    """What a step costs."""

    median_ms: float
    peak_mib: float
    """Of the process on a CPU, PyTorch itself included; of tensors on a GPU."""
    captured: bool | None
    """Whether it ran as a CUDA graph; None where none was asked for."""


def measure(name: str, kind: str, patch_px: int, batch: int, repeats: int, device: str) -> Measurement:
    """Measure one kind of step of one variant; a process should do so once, as memory peaks once."""
    generator = torch.Generator().manual_seed(0)
    inner, outer = (
        Batch.from_pairs(torch.rand(batch, 2, patch_px, patch_px, generator=generator).to(device))
        for _ in range(2)
    )
    step, graphed = _step_of(name, kind, inner, outer, device)

    def wait() -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    for _ in range(WARM_UP_STEPS[device]):
        step()
    wait()
    times_ms = []
    for _ in range(repeats):
        start_ns = time.perf_counter_ns()
        for _ in range(STEPS_AT_ONCE[device]):
            step()
        wait()
        times_ms.append((time.perf_counter_ns() - start_ns) / 1e6 / STEPS_AT_ONCE[device])
    peak = torch.cuda.max_memory_allocated() / 2**20 if device == "cuda" else peak_resident_mib()
    return Measurement(statistics.median(times_ms), peak, None if graphed is None else graphed.captured)


def _step_of(
    name: str, kind: str, inner: Batch, outer: Batch, device: str
) -> tuple[Callable[[], object], GraphedSteps | None]:
    if name == TRANSCRIPTION:
        paper = TranscribedSteps(device)
        if kind == "meta":
            return lambda: paper.meta(inner, outer, FACTORS), None
        return lambda: paper.descend(inner, FACTORS), None
    variant = VARIANTS[name]
    configuration = TrainingConfiguration().override(variant.settings)
    graphed = GraphedSteps(configuration, device=device) if variant.graphed else None
    steps = graphed or Steps(configuration, device=device)
    if kind == "meta":
        return lambda: steps.meta(inner, outer, FACTORS, move=True), graphed
    return lambda: steps.descend(inner, FACTORS), graphed


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print a Markdown table, and write JSON if asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--patch", type=int, default=64)
    parser.add_argument("--batch", type=int, default=4, help="pairs before they are doubled by swapping")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves PyTorch's default")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=list(KINDS))
    parser.add_argument("--variants", nargs="*", choices=VARIANTS, help="by default all that the device has")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--one", nargs=2, metavar=("VARIANT", "KIND"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    shape = options.patch, options.batch, options.repeats, options.device
    if options.one:
        name, kind = options.one
        print(json.dumps(measure(name, kind, *shape)._asdict()))
        return
    found_facts = {**facts(options.threads), "torch_threads": torch.get_num_threads()}
    if options.device == "cuda":
        found_facts["gpu"] = torch.cuda.get_device_name()
    chosen = options.variants or (["ours"] if options.device == "cpu" else list(VARIANTS))
    names = {TRANSCRIPTION: "transcription, second-order graph", **{n: VARIANTS[n].title for n in chosen}}
    print_facts(found_facts)
    results: dict[str, dict[str, Measurement]] = {}
    for kind in options.kinds:
        title, results[kind] = KINDS[kind], {}
        print(
            f"| {title}, patch {options.patch}, batch {options.batch} | ms, p50 | times faster | peak MiB |"
        )
        print("|---|---|---|---|")
        for name, what in names.items():
            found = _in_a_process(name, kind, options)
            if isinstance(found, str):
                print(f"| {what} | failed: {found} | | |", flush=True)
                continue
            results[kind][name] = found
            what += " (not captured)" if found.captured is False else ""
            baseline = results[kind].get(TRANSCRIPTION)
            ratio = f"{baseline.median_ms / found.median_ms:.1f}" if baseline else "-"
            print(f"| {what} | {found.median_ms:.1f} | {ratio} | {found.peak_mib:.0f} |", flush=True)
    found_by_kind = {
        kind: {name: m._asdict() for name, m in found.items()} for kind, found in results.items()
    }
    shown = {"patch_px": options.patch, "batch": options.batch, "steps": found_by_kind}
    write_report(options.json, FORMAT, found_facts, **shown)


def _in_a_process(name: str, kind: str, options: argparse.Namespace) -> Measurement | str:
    """Return what a fresh process measures, or the last line of its error: it may not fit the memory."""
    command = [sys.executable, "-m", __spec__.name if __spec__ else __name__, "--one", name, kind]
    for key in ("patch", "batch", "repeats", "threads", "device"):
        command += [f"--{key}", str(getattr(options, key))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    return Measurement(**json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    main()
