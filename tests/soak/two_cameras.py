"""Minutes or hours of two RTSP cameras: one of them dies twice, and the stream must shrug it off.

    python tests/soak/two_cameras.py --infrared ir.mp4 --visible vis.mp4 --minutes 60 --json soak.json
    python tests/soak/plot.py soak.json soak.png

Two RTSP servers on loopback play a clip each in a loop, `refusion stream --serve` fuses them, and one server
is killed and started again twice, while a viewer looks on. Watched through /metrics once a second: the state
of both cameras, the fused frames, the latency; and the process's memory. Exit status 1 if the camera took
more than 5 s to come back after its server answered again, if memory or latency grew, or the rate fell.

Needs GStreamer's RTSP server with its Python binding (Debian: gir1.2-gst-rtsp-server-1.0, python3-gi,
gstreamer1.0-plugins-good, -bad, -ugly, -libav). Not part of the test suite: it takes its time.
"""

from __future__ import annotations

import argparse
import itertools
import json
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "fakes"))
from rtsp_process import RtspServer

RECOVERY_LIMIT_S = 5.0
WARM_UP_SHARE = 0.15
"""Of the run, not counted for growth: pools and caches fill."""
MEMORY_GROWTH_LIMIT = 1.02
"""Of the median of the last third to that of the first: the allocator alone moves it by 1.5 % to and fro."""
LATENCY_GROWTH_LIMIT = 1.25
RATE_LOSS_LIMIT = 0.7
"""Least share of the first third's frame rate in the last third."""


@dataclass
class Sample:
    """What was seen in one second."""

    time_s: float
    fused: int
    single: int
    memory_mib: float
    latency_ms: float | None
    states: dict[str, str]


@dataclass
class Outage:
    """One death of the infrared server."""

    killed_s: float
    answers_s: float
    fused_again_s: float | None = None

    @property
    def recovery_s(self) -> float | None:
        """From the server's return to the first fused frame."""
        return None if self.fused_again_s is None else self.fused_again_s - self.answers_s


@dataclass
class Soak:
    """The whole run."""

    samples: list[Sample] = field(default_factory=list)
    outages: list[Outage] = field(default_factory=list)


def main() -> None:
    """Run the soak and judge it."""
    options = _parser().parse_args()
    port = free_port()
    soak = Soak()
    with (
        RtspServer("--mount", f"ir={options.infrared}") as infrared,
        RtspServer("--mount", f"visible={options.visible}") as visible,
        tempfile.TemporaryDirectory() as folder,
    ):
        report = Path(folder) / "report.json"
        stream = subprocess.Popen(
            [
                *(sys.executable, "-m", "refusion", "stream"),
                *("--ir", infrared.url("ir"), "--visible", visible.url("visible")),
                *("--serve", f"127.0.0.1:{port}", "--report", str(report), *options.stream_options),
            ]
        )
        threading.Thread(target=_look_on, args=[port], daemon=True).start()
        try:
            _watch(soak, stream, port, infrared, options.minutes * 60)
            stream.send_signal(signal.SIGTERM)
            status = stream.wait(30)
        finally:
            stream.kill()
        figures = {**_figures(soak), "exit_status": status, "report": json.loads(report.read_text())}
    if options.json is not None:
        options.json.write_text(
            json.dumps({**figures, "samples": [asdict(one) for one in soak.samples]}) + "\n"
        )
    print(json.dumps({name: value for name, value in figures.items() if name != "report"}, indent=2))
    problems = _problems(figures)
    for problem in problems:
        print(f"failed: {problem}", file=sys.stderr)
    sys.exit(1 if problems else 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--infrared", type=Path, required=True, help="clip of the infrared camera")
    parser.add_argument("--visible", type=Path, required=True, help="clip of the visible camera")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--json", type=Path, help="write all figures and samples")
    parser.add_argument("stream_options", nargs="*", help="after --: options of refusion stream")
    return parser


def _watch(soak: Soak, stream: subprocess.Popen[bytes], port: int, dying: RtspServer, seconds: float) -> None:
    """Sample once a second; kill the server at 30 % and 60 % of the time, for 3 % of it (at least 3 s)."""
    started = time.monotonic()
    kills = [0.3 * seconds, 0.6 * seconds]
    down_s = max(3.0, 0.03 * seconds)
    down_since: float | None = None
    waiting: Outage | None = None
    fused_before = 0
    while (now := time.monotonic() - started) < seconds:
        if stream.poll() is not None:
            raise SystemExit(f"the stream ended by itself, with exit status {stream.returncode}")
        if kills and now >= kills[0]:
            kills.pop(0)
            dying.kill()
            down_since = now
        elif down_since is not None and now >= down_since + down_s:
            dying.start()
            waiting = Outage(down_since, time.monotonic() - started)
            soak.outages.append(waiting)
            down_since = None
            fused_before = _fused(port)
        sample = _sample(stream.pid, port, now)
        if sample is not None and waiting is not None and _has_recovered(sample, fused_before):
            waiting.fused_again_s = time.monotonic() - started
            waiting = None
        if sample is not None and now - (soak.samples[-1].time_s if soak.samples else -1.0) >= 1.0:
            soak.samples.append(sample)
        time.sleep(0.1 if waiting else 0.5)


def _look_on(port: int) -> None:
    """Watch the picture as a browser does, until the stream ends."""
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/mjpeg", timeout=60) as pictures:
                while pictures.read(1 << 16):
                    pass
            return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.5)  # it has not started to serve yet


def _has_recovered(sample: Sample, fused_before: int) -> bool:
    return sample.fused > fused_before and sample.states["infrared"] == "live"


def _sample(pid: int, port: int, now: float) -> Sample | None:
    metrics = _metrics(port)
    if metrics is None:
        return None
    latency = metrics.get('latency_seconds{quantile="0.5"}')
    states = {
        source: next(
            state
            for state in ("connecting", "live", "stalled", "lost", "ended")
            if metrics[f'source_state{{source="{source}",state="{state}"}}'] == 1
        )
        for source in ("infrared", "visible")
    }
    return Sample(
        now,
        int(metrics["fused_frames_total"]),
        int(metrics["single_frames_total"]),
        _memory_mib(pid),
        None if latency is None else 1e3 * latency,
        states,
    )


def _fused(port: int) -> int:
    metrics = _metrics(port)
    return 0 if metrics is None else int(metrics["fused_frames_total"])


def _metrics(port: int) -> dict[str, float] | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return None  # it has not started to serve yet
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name.removeprefix("refusion_"): float(value) for name, _, value in lines}


def _memory_mib(pid: int) -> float:
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) / 1024


def _figures(soak: Soak) -> dict[str, object]:
    end_s = soak.samples[-1].time_s
    counted = [one for one in soak.samples if one.time_s >= WARM_UP_SHARE * end_s]
    minutes = np.array([one.time_s / 60 for one in counted])
    memory = np.array([one.memory_mib for one in counted])
    latency = np.array([one.latency_ms for one in counted if one.latency_ms is not None])
    third = max(1, len(counted) // 3)
    return {
        "seconds": round(end_s, 1),
        "fused_frames": soak.samples[-1].fused,
        "recovery_s": [None if one.recovery_s is None else round(one.recovery_s, 2) for one in soak.outages],
        "down_s": [round(one.answers_s - one.killed_s, 1) for one in soak.outages],
        "memory_first_third_mib": round(float(np.median(memory[:third])), 1),
        "memory_last_third_mib": round(float(np.median(memory[-third:])), 1),
        "memory_trend_mib_a_minute": round(float(np.polyfit(minutes, memory, 1)[0]), 3),
        "fused_a_second_first_third": round(_rate(counted[:third]), 2),
        "fused_a_second_last_third": round(_rate(counted[-third:]), 2),
        "single_frames_while_both_were_up": _single_while_up(soak),
        "latency_first_third_ms": round(float(np.median(latency[:third])), 1),
        "latency_last_third_ms": round(float(np.median(latency[-third:])), 1),
    }


def _thirds(figures: dict[str, object], name: str, unit: str = "") -> tuple[float, float]:
    """Return a figure of the first and of the last third of the time."""
    suffix = f"_{unit}" if unit else ""
    first, last = (float(str(figures[f"{name}_{third}_third{suffix}"])) for third in ("first", "last"))
    return first, last


def _rate(samples: list[Sample]) -> float:
    return (samples[-1].fused - samples[0].fused) / (samples[-1].time_s - samples[0].time_s)


def _single_while_up(soak: Soak) -> int:
    """Count frames of one camera alone between samples at which both were live."""
    return sum(
        after.single - before.single
        for before, after in itertools.pairwise(soak.samples)
        if set(before.states.values()) == set(after.states.values()) == {"live"}
    )


def _problems(figures: dict[str, object]) -> list[str]:
    recoveries = figures["recovery_s"]
    assert isinstance(recoveries, list)
    found = []
    if len(recoveries) != 2 or any(one is None or one > RECOVERY_LIMIT_S for one in recoveries):
        found.append(f"recovery took {recoveries} s; the limit is {RECOVERY_LIMIT_S:g} s each, twice")
    first, last = _thirds(figures, "memory", "mib")
    if last > MEMORY_GROWTH_LIMIT * first:
        found.append(f"memory grew from {first} to {last} MiB")
    first, last = _thirds(figures, "latency", "ms")
    if last > LATENCY_GROWTH_LIMIT * first:
        found.append(f"latency grew from {first} to {last} ms")
    first, last = _thirds(figures, "fused_a_second")
    if last < RATE_LOSS_LIMIT * first:
        found.append(f"the frame rate fell from {first} to {last}")
    if figures["exit_status"] != 0:
        found.append(f"the stream ended with exit status {figures['exit_status']}")
    return found


def free_port() -> int:
    """Return a TCP port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
