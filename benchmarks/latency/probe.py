"""One contender in a process of its own: how much memory its run takes, and how long it takes alone.

    python -m refusion.benchmarks.latency.probe JSON

prints one line of JSON. A process in which others have run cannot tell: it uses again what they have freed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from refusion.benchmarks.latency.contenders import Baseline, Contender, Weights
from refusion.benchmarks.latency.samples import Samples
from refusion.benchmarks.measurement import peak_resident_mib, reset_peak_resident, resident_mib
from refusion.errors import BackendError, RefusionError
from refusion.models import Model

_WARM_PX = (48, 64)
_LONG_S = 4.0
"""A first run at least so long is measured and stays the only one."""
_TIMEOUT_S = 600.0


@dataclass(frozen=True)
class ProbeRequest:
    """What one process runs."""

    contender: Contender
    weights: Weights
    size: tuple[int, int]
    """Width and height."""
    batch: int = 1
    threads: int = 0
    least_s: float = 0.0
    """Goes on until so much time is measured, or the most runs; at least one run."""
    most_runs: int = 20


@dataclass(frozen=True)
class Probe:
    """What one process found."""

    description: str
    samples: Samples
    peak_mib: float
    """Largest resident memory of the process."""
    run_mib: float
    """What the first run added to it: maps and results, neither libraries nor weights nor input."""


def probe(request: ProbeRequest) -> Probe:
    """Run a contender in a process of its own.

    Raises:
        RefusionError: It cannot run here, or its process died; the message says why.
    """
    command = [sys.executable, "-m", __name__, json.dumps(_as_json(request))]
    # Not in the current folder: a checkout there would hide an installed package.
    folder = Path(sys.executable).anchor
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise BackendError(f"took more than {_TIMEOUT_S:.0f} s") from None
    lines = done.stdout.splitlines()
    if not lines:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise BackendError(f"its process ended with status {done.returncode}: {reason}")
    found = json.loads(lines[-1])
    if "error" in found:
        raise BackendError(found["error"])
    return Probe(
        found["description"],
        Samples(tuple(found["times_ms"]), tuple(found["processor_ms"])),
        found["peak_mib"],
        found["run_mib"],
    )


def measure(request: ProbeRequest) -> Probe:
    """Run a contender in this process, which should have done nothing else before.

    Raises:
        RefusionError: It cannot run here.
    """
    backend = request.contender.open(request.weights, threads=request.threads)
    random = np.random.default_rng(0)
    if request.contender.baseline is not Baseline.naive_onnx:  # which was exported for one size
        backend.run(random.random((1, 2, *_WARM_PX), np.float32))
    width, height = request.size
    sources = random.random((request.batch, 2, height, width), np.float32)
    reset_peak_resident()
    before_mib = resident_mib()
    times_ms, processor_ms = [], []

    def run() -> None:
        processor_ns, start_ns = time.process_time_ns(), time.perf_counter_ns()
        backend.run(sources)
        times_ms.append((time.perf_counter_ns() - start_ns) / 1e6)
        processor_ms.append((time.process_time_ns() - processor_ns) / 1e6)

    run()
    run_mib = peak_resident_mib() - before_mib
    if times_ms[0] < 1e3 * _LONG_S:
        times_ms.clear()
        processor_ms.clear()
        run()
        while sum(times_ms) < 1e3 * request.least_s and len(times_ms) < request.most_runs:
            run()
    samples = Samples(tuple(times_ms), tuple(processor_ms))
    return Probe(backend.description, samples, peak_resident_mib(), run_mib)


def _as_json(request: ProbeRequest) -> dict[str, Any]:
    files = {k: None if path is None else str(path.resolve()) for k, path in vars(request.weights).items()}
    contender = {"model": request.contender.model.name, "runner": request.contender.runner}
    return {**vars(request), "contender": contender, "weights": files}


def _from_json(values: dict[str, Any]) -> ProbeRequest:
    contender, files = values["contender"], values["weights"]
    request = ProbeRequest(
        **{
            **values,
            "contender": Contender(Model[contender["model"]], contender["runner"]),
            "weights": Weights(**{k: None if path is None else Path(path) for k, path in files.items()}),
        }
    )
    return replace(request, size=(request.size[0], request.size[1]))


def main() -> None:
    """Print what `measure` finds, or why it cannot."""
    try:
        found = measure(_from_json(json.loads(sys.argv[1])))
    except RefusionError as error:
        print(json.dumps({"error": str(error)}))
        return
    samples = asdict(found.samples)
    print(json.dumps({**samples, **{k: v for k, v in vars(found).items() if k != "samples"}}))


if __name__ == "__main__":
    main()
