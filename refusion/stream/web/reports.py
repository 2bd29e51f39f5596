"""A stream's state as JSON, for the page."""

from __future__ import annotations

import time
from typing import Any

from refusion.stream.moments import SourceEvent, SourceReport
from refusion.stream.monitoring import StreamStatus
from refusion.timing import Percentiles

_SHOWN_EVENTS = 30


def status_report(status: StreamStatus) -> dict[str, Any]:
    """Return a status as JSON values; times of events as their age in seconds."""
    return {
        "running_s": status.running_s,
        "frames": status.frames,
        "frames_single": status.frames_single,
        "rate_hz": status.rate_hz,
        "dropped_by_sinks": status.dropped_by_sinks,
        "sources": [_source(source) for source in status.sources],
        "events": [_event(event) for event in status.events[-_SHOWN_EVENTS:]],
        "skew": percentiles(status.skew),
        "stages": {name: percentiles(values) for name, values in status.stages.items()},
        "latency": percentiles(status.latency),
        "size": status.size,
        "task": status.task,
        "backend": status.backend,
        "recording": None if status.recording is None else status.recording.name,
        "has_ended": status.has_ended,
    }


def percentiles(values: Percentiles | None) -> dict[str, float] | None:
    """Return percentiles as JSON values, milliseconds."""
    return None if values is None else {"p50": values.p50_ms, "p95": values.p95_ms, "p99": values.p99_ms}


def _source(source: SourceReport) -> dict[str, Any]:
    return {
        "name": source.name,
        "uri": source.uri,
        "state": source.state.value,
        "size": source.size,
        "received": source.received,
        "dropped": source.dropped,
        "reconnects": source.reconnects,
    }


def _event(event: SourceEvent) -> dict[str, Any]:
    return {
        "source": event.source,
        "state": event.state.value,
        "message": event.message,
        "age_s": max(0.0, (time.monotonic_ns() - event.time_ns) / 1e9),
    }
