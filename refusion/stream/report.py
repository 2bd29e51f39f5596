"""The report of a stream: its figures as JSON."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from refusion.files import replacing
from refusion.stream.monitoring import StreamStatus
from refusion.timing import Percentiles


def report_of(status: StreamStatus) -> dict[str, Any]:
    """Return the figures of a stream as JSON holds them: durations in milliseconds, states by name."""
    import refusion

    return {
        "refusion": refusion.__version__,
        "task": status.task,
        "backend": status.backend,
        "size": status.size,
        "running_s": round(status.running_s, 3),
        "frames": {
            "fused": status.frames,
            "single": status.frames_single,
            "dropped_by_sinks": status.dropped_by_sinks,
        },
        "rate_hz": round(status.frames / status.running_s, 3) if status.running_s > 0 else 0.0,
        "sources": [{**dataclasses.asdict(one), "state": one.state.value} for one in status.sources],
        "events": [{**dataclasses.asdict(one), "state": one.state.value} for one in status.events],
        "skew": _percentiles(status.skew),
        "latency": _percentiles(status.latency),
        "latency_written": _percentiles(status.latency_written),
        "stages": {name: _percentiles(values) for name, values in status.stages.items()},
    }


def write_report(path: Path, status: StreamStatus, *, force: bool) -> None:
    """Write the report of a stream.

    Raises:
        OutputError: The file is there already (without force), or cannot be written.
    """
    with replacing(path, force=force) as partial:
        partial.write_text(json.dumps(report_of(status), indent=2) + "\n")


def _percentiles(values: Percentiles | None) -> dict[str, float] | None:
    if values is None:
        return None
    return {name: round(value, 3) for name, value in dataclasses.asdict(values).items()}
