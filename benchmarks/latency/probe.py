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

from refusion.benchmarks.latency.contenders import Contender, Weights
from refusion.benchmarks.latency.precisions import Precision
from refusion.benchmarks.latency.samples import Samples
from refusion.benchmarks.latency.sensors import Log, opened_sensors
from refusion.benchmarks.measurement import peak_resident_mib, reset_peak_resident, resident_mib
from refusion.errors import BackendError, RefusionError
from refusion.models import Model
from refusion.tasks import Task

_WARM_PX = (48, 64)
_MEMORY = "memory_used_mib"
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
    device_mib: float | None = None
    """What the process added to the GPU's memory in use, all of it at its largest; None where that is not
    known. Other processes on the GPU would count too."""


def probe(request: ProbeRequest) -> Probe:
    """Run a contender in a process of its own.

    Raises:
        RefusionError: It cannot run here, or its process died; the message says why.
    """
    if request.contender.runner == "tensorrt":
        # Folders of engines may be named relative to the current one.
        plan = request.contender.file(request.weights, size=request.size, batch=request.batch)
        request = replace(request, weights=replace(request.weights, plan=plan))
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
        found["device_mib"],
    )


def measure(request: ProbeRequest) -> Probe:
    """Run a contender in this process, which should have done nothing else before.

    Raises:
        RefusionError: It cannot run here.
    """
    if request.contender.device == "cpu":
        return _measure(request)
    with opened_sensors(telling=_MEMORY) as sensors, Log(sensors) as log:
        found = _measure(request)
    growths_mib = [growth for name, growth in log.growths().items() if name.endswith(_MEMORY)]
    return replace(found, device_mib=round(max(growths_mib), 1) if growths_mib else None)


def _measure(request: ProbeRequest) -> Probe:
    contender, (width, height) = request.contender, request.size
    backend = contender.open(request.weights, size=request.size, batch=request.batch, threads=request.threads)
    random = np.random.default_rng(0)
    if not contender.is_of_one_size:
        backend.run(random.random((1, 2, *_WARM_PX), np.float32))
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
    paths = {name: value for name, value in vars(request.weights).items() if name != "task"}
    files = {name: None if path is None else str(path.resolve()) for name, path in paths.items()}
    contender = {
        **vars(request.contender),
        "model": request.contender.model.name,
        "precision": request.contender.precision.name,
    }
    return {**vars(request), "contender": contender, "weights": {**files, "task": request.weights.task.name}}


def _from_json(values: dict[str, Any]) -> ProbeRequest:
    contender, files = values["contender"], values["weights"]
    task = Task[files.pop("task")]
    width, height = values["size"]
    return ProbeRequest(
        **{
            **values,
            "size": (width, height),
            "contender": Contender(
                **{
                    **contender,
                    "model": Model[contender["model"]],
                    "precision": Precision[contender["precision"]],
                }
            ),
            "weights": Weights(
                **{name: None if path is None else Path(path) for name, path in files.items()}, task=task
            ),
        }
    )


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
