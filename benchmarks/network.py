"""Times the network alone, in one run: our backends against the official script's network.

    python -m refusion.benchmarks.network [--size WxH] [--repeats N] [--threads N] [--json FILE]

All run the same weights on the same input and take turns on every repeat.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from refusion import ops
from refusion.backends import create_backend
from refusion.benchmarks.measurement import machine, median_ms, print_facts, print_ratios, write_report
from refusion.benchmarks.official import official_form
from refusion.models.checkpoints import load_fusion
from refusion.stream.synthetic import SyntheticScene
from refusion.tasks import Task
from refusion.weights import shipped_weights


def measure(width_px: int, height_px: int, repeats: int, threads: int) -> tuple[dict[str, float], float]:
    """Return the median milliseconds a frame of each way to run, and the largest difference of results."""
    files = shipped_weights(Task.ivif)
    pair = SyntheticScene(width_px=width_px, height_px=height_px).pair(0)
    sources = ops.preprocess(pair.a, pair.b)[None]
    official = official_form(load_fusion(files.safetensors))
    tensor = torch.from_numpy(sources)

    def run_official() -> np.ndarray:
        with torch.inference_mode():
            return official(tensor).numpy()

    backends = {
        "PyTorch backend": create_backend("torch", files.safetensors, threads=threads),
        "ONNX Runtime backend": create_backend("onnxruntime", files.onnx, threads=threads),
    }
    ways: dict[str, Callable[[], np.ndarray]] = {"official network, PyTorch eager": run_official}
    for name, backend in backends.items():
        ways[name] = partial(backend.run, sources)
    expected = run_official()
    difference = max(float(np.abs(run() - expected).max()) for run in ways.values())
    return dict(zip(ways, median_ms(list(ways.values()), repeats), strict=True)), difference


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print a Markdown table, and write JSON if asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="640x480", metavar="WxH")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves each its default")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    width_px, height_px = (int(side) for side in options.size.split("x"))
    facts = {
        **machine(),
        "torch": torch.__version__,
        "torch_threads": options.threads or torch.get_num_threads(),
    }
    times_ms, difference = measure(width_px, height_px, options.repeats, options.threads)
    print_facts(facts)
    print(f"largest difference between results: {difference:.1e}")
    print_ratios(f"{options.size}, p50 of {options.repeats} | seconds a frame", times_ms)
    write_report(options.json, facts, size=options.size, repeats=options.repeats, median_ms=times_ms)


if __name__ == "__main__":
    main()
