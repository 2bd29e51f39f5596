"""What every benchmark needs: calls timed in turns, and the facts of the machine."""

from __future__ import annotations

import json
import os
import platform
import re
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np


def median_ms(calls: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    """Return the median time of each call; they take turns, after one unmeasured turn."""
    times: list[list[float]] = [[] for _ in calls]
    for repeat in range(repeats + 1):
        for call, taken in zip(calls, times, strict=True):
            start_ns = time.perf_counter_ns()
            call()
            if repeat:
                taken.append((time.perf_counter_ns() - start_ns) / 1e6)
    return [statistics.median(taken) for taken in times]


def machine() -> dict[str, object]:
    """Return what the times depend on besides the code."""
    cpu_info = Path("/proc/cpuinfo")
    models = [
        line.partition(":")[2].strip()
        for line in (cpu_info.read_text().splitlines() if cpu_info.is_file() else ())
        if line.startswith("model name")
    ]
    return {
        "processor": models[0] if models else platform.processor() or platform.machine(),
        "logical_processors": os.cpu_count(),
        "system": platform.platform(),
        "load_average_1min": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "opencv_threads": cv2.getNumThreads(),
    }


def peak_resident_mib() -> float:
    """Return the largest resident memory that this process has had, of its own program alone (Linux)."""
    # Not getrusage: its maximum goes back before exec, to the parent's memory.
    return _status_mib("VmHWM")


def resident_mib() -> float:
    """Return the resident memory of this process now (Linux)."""
    return _status_mib("VmRSS")


def reset_peak_resident() -> None:
    """Let the peak begin anew at what is resident now (Linux; where that is not allowed, the peak stays)."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _status_mib(name: str) -> float:
    status = Path("/proc/self/status")
    match = re.search(rf"{name}:\s+(\d+) kB", status.read_text()) if status.is_file() else None
    return int(match[1]) / 2**10 if match else float("nan")


def print_facts(facts: Mapping[str, object]) -> None:
    """Print the facts of a run, a line each."""
    print("\n".join(f"{name}: {value}" for name, value in facts.items()))


def write_report(
    path: Path | None, report_format: str, facts: Mapping[str, object], **content: object
) -> None:
    """Write the facts and the content as JSON, if there is a path; the format tells reports apart."""
    if path is not None:
        path.write_text(json.dumps({"format": report_format, "facts": facts, **content}, indent=2) + "\n")
