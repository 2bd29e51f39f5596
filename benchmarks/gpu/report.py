"""How jobs on a GPU report: percentiles of times, closeness of pictures, Markdown tables, JSON with facts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from refusion.benchmarks.gpu.folders import KIT, packed_commit
from refusion.benchmarks.measurement import machine
from refusion.gpus import find_gpus

LEVELS = 255


class Latency(NamedTuple):
    """How long one call takes."""

    p50_ms: float
    p99_ms: float
    calls: int

    @classmethod
    def of(cls, times_ms: Sequence[float]) -> Latency:
        """Return the percentiles of measured times; the 99th is one of them, not interpolated."""
        p50 = float(np.median(times_ms))
        return cls(p50, float(np.percentile(times_ms, 99, method="higher")), len(times_ms))


class Closeness(NamedTuple):
    """How close a result is to the float32 one, both rounded to 8 bits."""

    psnr_db: float | None
    """None where they are equal; 0 where a value is not finite."""
    within_1_level: float
    """Share of pixels, 0 to 1."""
    largest_levels: int

    @classmethod
    def of(cls, found: NDArray[Any], expected: NDArray[Any]) -> Closeness:
        """Compare fused luma in [0, 1], arrays of one shape."""
        if not np.isfinite(found).all():
            return cls(0.0, 0.0, LEVELS)
        difference = np.abs(_levels(found) - _levels(expected))
        squared = float(np.square(difference, dtype=np.float64).mean())
        psnr_db = float(10 * np.log10(LEVELS**2 / squared)) if squared else None
        return cls(psnr_db, float((difference <= 1).mean()), int(difference.max()))


def _levels(luma: NDArray[Any]) -> NDArray[np.int32]:
    return np.rint(LEVELS * luma.astype(np.float32)).clip(0, LEVELS).astype(np.int32)


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """Return records as a Markdown table; columns in order of first use, floats with four figures."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    lines += [f"| {' | '.join(_cell(row.get(name, '')) for name in columns)} |" for row in rows]
    return "\n".join(lines) + "\n"


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if abs(value) >= 1e3 else f"{value:.4g}"


def gpu_facts() -> dict[str, object]:
    """Return what results depend on: machine, GPU, commit, date; without a GPU, why there is none."""
    found = find_gpus()
    gpu = found.gpus[0] if found.gpus else None
    return {
        **machine(),
        "gpu": gpu.name if gpu else None,
        "gpu_problem": found.problem or None,
        "compute_capability": ".".join(map(str, gpu.compute_capability)) if gpu else None,
        "gpu_memory_mib": gpu.memory_mib if gpu else None,
        "commit": packed_commit(KIT),
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Write a result. Called after every measurement: a job that is cut short leaves what it had."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
    partial.replace(path)


class Results:
    """The records of a job so far, as JSON and, beside it, a Markdown table; written at every addition."""

    def __init__(self, path: Path, facts: Mapping[str, object]) -> None:
        self._path = path
        self._facts = facts
        self._records: list[dict[str, Any]] = []

    def add(self, record: dict[str, Any]) -> None:
        """Add a record, and print the table of all."""
        self._records.append(record)
        write_json(self._path, {"facts": self._facts, "results": self._records})
        text = table([_row(record) for record in self._records])
        heading = ", ".join(f"{name} {value}" for name, value in self._facts.items() if value is not None)
        self._path.with_suffix(".md").write_text(f"{heading}\n\n{text}")
        print(text, flush=True)


def _row(record: Mapping[str, Any]) -> dict[str, object]:
    """Return a record flat, without what only its JSON needs."""
    row: dict[str, object] = {}
    for name, value in record.items():
        if name in ("limits", "end_to_end_on"):
            continue
        if isinstance(value, dict):
            row |= {f"{name} {key}": inner for key, inner in value.items() if key != "calls"}
        elif isinstance(value, list):
            row[name] = " / ".join(map(str, value))
        else:
            row[name] = value
    return row
