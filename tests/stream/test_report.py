from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from refusion import OutputError
from refusion.stream.moments import SourceEvent, SourceReport, SourceState
from refusion.stream.monitoring import StreamStatus
from refusion.stream.prometheus import metrics_text
from refusion.stream.report import report_of, write_report
from refusion.timing import Percentiles

STATUS = StreamStatus(
    running_s=10.0,
    frames=50,
    frames_single=4,
    rate_hz=5.5,
    dropped_by_sinks=1,
    sources=(
        SourceReport("infrared", "rtsp://camera/ir", SourceState.lost, (160, 120), 90, 40, 2),
        SourceReport("visible", 'odd"\\name', SourceState.live, None, 300, 250, 0),
    ),
    events=[SourceEvent("infrared", SourceState.lost, "no answer; trying again in 0.5 s", 123)],
    skew=Percentiles(4.0, 20.0, 30.0),
    stages={"network": Percentiles(100.0, 110.0, 120.0)},
    latency=None,
    size=(640, 480),
    task="ivif",
    backend="ONNX Runtime",
    recording=None,
    has_ended=False,
)


def test_report_holds_frames_drops_skew_stages_and_states(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    write_report(path, STATUS, force=False)
    report = json.loads(path.read_text())
    assert report == json.loads(json.dumps(report_of(STATUS)))
    assert report["frames"] == {"fused": 50, "single": 4, "dropped_by_sinks": 1}
    assert report["rate_hz"] == 5.0  # of the whole run
    assert [(one["name"], one["state"], one["dropped"]) for one in report["sources"]] == [
        ("infrared", "lost", 40),
        ("visible", "live", 250),
    ]
    assert report["skew"] == {"p50_ms": 4.0, "p95_ms": 20.0, "p99_ms": 30.0}
    assert report["stages"]["network"]["p99_ms"] == 120.0
    assert report["latency"] is None
    assert report["events"][0]["state"] == "lost"
    with pytest.raises(OutputError, match="is there already"):
        write_report(path, STATUS, force=False)


def test_metrics_are_prometheus_text() -> None:
    text = metrics_text(STATUS)
    sample = re.compile(r'refusion_\w+(\{(\w+="(?:[^"\\]|\\.)*",?)+\})? -?[0-9.e+-]+')
    seen: set[str] = set()
    for line in text.splitlines():
        kind, _, rest = line.partition(" refusion_")
        if kind in ("# HELP", "# TYPE"):
            seen.add(f"{kind[2:]} {rest.split()[0]}")
        else:
            assert sample.fullmatch(line), line
            name = re.split(r"[{ ]", line.removeprefix("refusion_"))[0]
            assert {f"HELP {name}", f"TYPE {name}"} <= seen
    assert text.endswith("\n")
    assert "refusion_fused_frames_total 50\n" in text
    assert 'refusion_source_state{source="infrared",state="lost"} 1\n' in text
    assert 'refusion_source_state{source="infrared",state="live"} 0\n' in text
    assert 'refusion_stage_seconds{stage="network",quantile="0.99"} 0.12\n' in text
    assert 'refusion_skew_seconds{quantile="0.5"} 0.004\n' in text
    assert "latency" not in text  # there is none yet
