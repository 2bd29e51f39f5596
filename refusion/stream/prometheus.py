"""The figures of a running stream in Prometheus' text format (exposition format 0.0.4)."""

from __future__ import annotations

from collections.abc import Iterator

from refusion.stream.moments import SourceState
from refusion.stream.monitoring import StreamStatus
from refusion.timing import Percentiles

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_Samples = list[tuple[dict[str, str], float]]


def metrics_text(status: StreamStatus) -> str:
    """Return all figures of a stream; durations in seconds, as Prometheus wants them."""
    return "".join(f"{line}\n" for line in _lines(status))


def _lines(status: StreamStatus) -> Iterator[str]:
    sources = [({"source": report.name}, report) for report in status.sources]
    yield from _metric("running_seconds", "gauge", "Time since the start.", [({}, status.running_s)])
    yield from _metric("fused_frames_total", "counter", "Pairs fused.", [({}, status.frames)])
    yield from _metric(
        "single_frames_total", "counter", "Frames shown of one camera alone.", [({}, status.frames_single)]
    )
    yield from _metric("fused_rate_hertz", "gauge", "Fused frames a second.", [({}, status.rate_hz)])
    yield from _metric(
        "source_frames_total", "counter", "Frames received.", [(tag, one.received) for tag, one in sources]
    )
    yield from _metric(
        "source_dropped_frames_total",
        "counter",
        "Frames received and not used, because newer ones came.",
        [(tag, one.dropped) for tag, one in sources],
    )
    yield from _metric(
        "source_reconnects_total",
        "counter",
        "Reconnections.",
        [(tag, one.reconnects) for tag, one in sources],
    )
    yield from _metric(
        "source_state",
        "gauge",
        "1 for the state that a source is in.",
        [
            ({**tag, "state": state.value}, float(state is one.state))
            for tag, one in sources
            for state in SourceState
        ],
    )
    yield from _metric(
        "sink_dropped_frames_total", "counter", "Frames that sinks dropped.", [({}, status.dropped_by_sinks)]
    )
    stages = [({"stage": name}, values) for name, values in status.stages.items()]
    yield from _metric("stage_seconds", "gauge", "Duration of the stages.", _quantiles(stages))
    for name, text, values in (
        ("skew_seconds", "Difference of the capture times of a pair.", status.skew),
        ("latency_seconds", "From capture to the finished picture.", status.latency),
    ):
        if values is not None:
            yield from _metric(name, "gauge", text, _quantiles([({}, values)]))


def _quantiles(rows: list[tuple[dict[str, str], Percentiles]]) -> _Samples:
    return [
        ({**labels, "quantile": quantile}, milliseconds / 1e3)
        for labels, values in rows
        for quantile, milliseconds in (
            ("0.5", values.p50_ms),
            ("0.95", values.p95_ms),
            ("0.99", values.p99_ms),
        )
    ]


def _metric(name: str, kind: str, text: str, samples: _Samples) -> Iterator[str]:
    yield f"# HELP refusion_{name} {text}"
    yield f"# TYPE refusion_{name} {kind}"
    for labels, value in samples:
        tags = ",".join(f'{key}="{_escaped(content)}"' for key, content in labels.items())
        yield f"refusion_{name}{'{' + tags + '}' if tags else ''} {value:.9g}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
