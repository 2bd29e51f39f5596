"""Times the fusion network in PyTorch on a GPU: precisions, CUDA graphs, torch.compile; how close each is.

    bash benchmarks/gpu/run.sh network [--sizes 640x480 ...] [--batches 1 4 8] [--seconds N]
        [--forms NAME ...] [--ways eager graph compile compile-graph]

Every form is compared with float32 (TF32 off) on rendered scenes, at every size. Times are from an idle
device to an idle device, by CUDA events, with inputs that rotate; the limits are those of
refusion.benchmarks.gpu.limits with the rates of the same run. Compiled ways come last, if they are asked for:
a command that is cut short has the others.

Writes network.json and network.md to $OUT after every measurement, and profile.txt: the kernels that a frame
of 640x480 in FP16 spends its time in. Without a GPU the same code runs on the CPU, at tiny sizes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from refusion import ops
from refusion.benchmarks.gpu.folders import output_folder
from refusion.benchmarks.gpu.forms import FORMS, Form
from refusion.benchmarks.gpu.limits import Rates, limits
from refusion.benchmarks.gpu.report import Closeness, gpu_facts, table, write_json
from refusion.benchmarks.gpu.stopwatch import latency, measure_rates
from refusion.models.checkpoints import load_fusion
from refusion.stream.synthetic import SyntheticScene
from refusion.tasks import Task
from refusion.weights import shipped_weights

WAYS = ("eager", "graph", "compile", "compile-graph")
SIZES = ("640x480", "1280x720", "1920x1080")
BATCHES = (1, 4, 8)
ROTATING_BYTES = 256 << 20
"""Of inputs: several times the cache of any GPU."""
MOST_INPUTS = 32
PROFILED_CALLS = 5
PROFILED_ROWS = 30


class Case(NamedTuple):
    """One measurement to take."""

    way: str
    width_px: int
    height_px: int
    batch: int
    form: str


@lru_cache(maxsize=1)
def rendered_sources(width_px: int, height_px: int, batch: int) -> NDArray[np.float32]:
    """Return a batch of rendered pairs, float32 (batch, 2, H, W)."""
    scene = SyntheticScene(width_px=width_px, height_px=height_px, seed=1)
    pairs = [scene.pair(10 * index) for index in range(min(batch, 2))]
    sources = np.stack([ops.preprocess(pair.a, pair.b) for pair in pairs])
    return np.concatenate([np.roll(sources, 7 * turn, axis=-1) for turn in range(-(-batch // 2))])[:batch]


def rotating_inputs(sources: NDArray[np.float32], device: str) -> list[Tensor]:
    """Return shifted copies of a batch on the device, together larger than its cache."""
    first = torch.from_numpy(sources).to(device)
    count = max(1, min(MOST_INPUTS, ROTATING_BYTES // sources.nbytes)) if device == "cuda" else 2
    return [first.roll(5 * turn, dims=-1) for turn in range(count)]


def captured(call: Callable[[Tensor], Tensor], example: Tensor) -> Callable[[Tensor], Tensor]:
    """Return the call as a CUDA graph: its input is copied in, its result overwritten by the next call."""
    static = example.clone()
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            call(static)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = call(static)

    def replay(sources: Tensor) -> Tensor:
        static.copy_(sources)
        graph.replay()
        return result

    return replay


def callable_of(module: nn.Module, form: Form, way: str, example: Tensor) -> Callable[[Tensor], Tensor]:
    """Return what runs the module in a form and a way, on inputs like the example."""
    prepared: Callable[[Tensor], Tensor] = form.prepare(module)
    if way.startswith("compile"):
        prepared = torch.compile(prepared, dynamic=False)
    return captured(prepared, example) if way.endswith("graph") else prepared


def measure(module: nn.Module, case: Case, rates: Rates, seconds: float, device: str) -> dict[str, Any]:
    """Return the record of one case: latency, ratios to the limits, closeness, memory."""
    form = FORMS[case.form]
    sources = rendered_sources(case.width_px, case.height_px, case.batch)
    inputs = rotating_inputs(sources, device)
    with torch.inference_mode():
        with FORMS["fp32"].settings():
            # One at a time: float32 at the largest size and batch is the peak of the whole job otherwise.
            expected = [module(inputs[0][i : i + 1]).cpu().numpy() for i in range(case.batch)]
        if device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        with form.settings():
            started = time.monotonic()
            call = callable_of(module, form, case.way, inputs[0])
            found = call(inputs[0]).float().cpu().numpy()
            first_call_s = time.monotonic() - started
            taken = latency(call, inputs, seconds)
    floor = limits(case.width_px, case.height_px, case.batch, rates, bytes_per_value=form.bytes_per_value)
    return {
        "size": f"{case.width_px}x{case.height_px}",
        "batch": case.batch,
        "form": case.form,
        "way": case.way,
        **taken._asdict(),
        **Closeness.of(found, np.concatenate(expected))._asdict(),
        "peak_mib": torch.cuda.max_memory_allocated() >> 20 if device == "cuda" else None,
        "first_call_s": round(first_call_s, 1),
        "times_unfused_limit": taken.p50_ms / floor.unfused_ms,
        "times_fused_limit": taken.p50_ms / floor.fused_ms,
        "times_flops_limit": taken.p50_ms / floor.flops_ms,
        "limits": asdict(floor),
    }


def profile(module: nn.Module, form: Form, width_px: int, height_px: int, device: str) -> str:
    """Return a table of the kernels that eager calls of one frame spend their time in."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    if device == "cuda":
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    sources = rotating_inputs(rendered_sources(width_px, height_px, 1), device)[0]
    with torch.inference_mode(), form.settings():
        call = form.prepare(module)
        call(sources)
        with torch.profiler.profile(activities=activities) as profiler:
            for _ in range(PROFILED_CALLS):
                call(sources)
            if device == "cuda":
                torch.cuda.synchronize()
    order = "self_cuda_time_total" if device == "cuda" else "self_cpu_time_total"
    rows = profiler.key_averages().table(sort_by=order, row_limit=PROFILED_ROWS, max_name_column_width=90)
    return f"{PROFILED_CALLS} eager calls, {form.title}, {width_px}x{height_px}, batch 1\n{rows}"


def cases(
    ways: Sequence[str], sizes: Sequence[str], batches: Sequence[int], forms: Sequence[str]
) -> Iterator[Case]:
    """Yield the cases, cheapest ways first."""
    for way, size, batch, form in product(ways, sizes, batches, forms):
        width_px, height_px = (int(side) for side in size.split("x"))
        yield Case(way, width_px, height_px, batch, form)


def try_case(module: nn.Module, case: Case, rates: Rates, seconds: float, device: str) -> dict[str, Any]:
    """Return the record of a case, or what went wrong with it: the other cases go on."""
    try:
        return measure(module, case, rates, seconds, device)
    except (RuntimeError, torch.cuda.OutOfMemoryError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        size = f"{case.width_px}x{case.height_px}"
        return {"size": size, "batch": case.batch, "form": case.form, "way": case.way, "failed": reason}
    finally:
        if case.way.startswith("compile"):
            torch.compiler.reset()
        if device == "cuda":
            torch.cuda.empty_cache()


def markdown(facts: dict[str, object], rates: Rates, records: Sequence[dict[str, Any]]) -> str:
    """Return the report as a person reads it."""
    shown = [{k: v for k, v in record.items() if k not in ("limits", "first_call_s")} for record in records]
    return (
        f"{facts['gpu']}, torch {facts['torch']}, commit {facts['commit']}, {facts['date']}; copy "
        f"{rates.copy_bytes_per_s / 1e12:.2f} TB/s, FP16 product "
        f"{rates.matmul_flops_per_s / 1e12:.0f} TFLOP/s\n\n" + table(shown)
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure all cases that the time allows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    cuda = torch.cuda.is_available()
    parser.add_argument("--sizes", nargs="+", default=SIZES if cuda else ["64x48"], metavar="WxH")
    parser.add_argument("--batches", nargs="+", type=int, default=BATCHES if cuda else [1, 2])
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=list(FORMS))
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=["eager", "graph"] if cuda else ["eager"])
    parser.add_argument("--seconds", type=float, default=540.0, help="begin no measurement after these")
    parser.add_argument("--each", type=float, default=1.0, help="seconds a measurement")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    device = "cuda" if cuda else "cpu"
    out = output_folder()
    facts: dict[str, object] = {**gpu_facts(), "torch": torch.__version__}
    facts["gpu"] = torch.cuda.get_device_name() if cuda else None
    module = load_fusion(shipped_weights(Task.ivif).safetensors).eval().to(device)
    rates = measure_rates(device)
    _write_profile(out, module, device)
    records: list[dict[str, Any]] = []
    planned = list(cases(options.ways, options.sizes, options.batches, options.forms))
    for case in planned:
        if time.monotonic() - started > options.seconds:
            print(f"time is up: {len(planned) - len(records)} of {len(planned)} cases were not measured")
            break
        records.append(try_case(module, case, rates, options.each, device))
        content = {"facts": facts, "rates": asdict(rates), "results": records}
        write_json(out / "network.json", content)
        (out / "network.md").write_text(markdown(facts, rates, records))
        print(f"{time.monotonic() - started:.0f} s: {len(records)} of {len(planned)} cases", flush=True)
    print(markdown(facts, rates, records))


def _write_profile(out: Path, module: nn.Module, device: str) -> None:
    width_px, height_px = (640, 480) if device == "cuda" else (32, 24)
    try:
        text = profile(module, FORMS["fp16"], width_px, height_px, device)
    except RuntimeError as error:  # times are worth having without it
        text = f"the profiler failed: {error}\n"
    (out / "profile.txt").write_text(text)


if __name__ == "__main__":
    main()
