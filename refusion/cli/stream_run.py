"""A stream on the terminal: live line, events, window, signals, report."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from refusion.stream.monitoring import StreamStatus
    from refusion.stream.pipeline import FusionStream
    from refusion.stream.rendering import ViewSettings

POLL_S = 0.1
LINE_EVERY_S = 0.5


@contextmanager
def serving(stream: FusionStream, address: tuple[str, int] | None, token: str | None) -> Iterator[str | None]:
    """Serve the stream to browsers inside the block, and give the address to open; None without one."""
    if address is None:
        yield None
        return
    from refusion.stream.web import WebServer

    server = WebServer(stream, host=address[0], port=address[1], token=token)
    server.start()
    try:
        yield server.url
    finally:
        server.close()


def run_stream(
    stream: FusionStream,
    *,
    url: str | None,
    window: ViewSettings | None,
    duration_s: float | None,
    report: Path | None,
    out: Path | None,
    force: bool,
) -> None:
    """Run a stream until it ends, the time is over, the window is closed or a signal asks for its end.

    Raises:
        RefusionError: What ended the stream early; the report is written all the same.
    """
    from refusion.stream.report import write_report
    from refusion.timing import KEPT_CALLS

    if url is not None:
        print(f"open {url} in a browser; Ctrl-C ends the stream", flush=True)
    events = _Events(stream.is_live)
    try:
        _watch(stream, window, duration_s, events)
    finally:
        stream.stop()
        stream.wait_ended()
        status = stream.status(latest=KEPT_CALLS)
        if report is not None:
            # First: a terminal that was closed takes no more lines.
            write_report(report, status, force=force)
        events.print_latest(status)
        print(_summary(status, out), flush=True)
    stream.join()


class _Events:
    """Prints each event of live sources once: of files there is nothing to tell."""

    def __init__(self, is_live: bool) -> None:
        self._is_live = is_live
        self._printed_until_ns = 0

    def print_latest(self, status: StreamStatus) -> None:
        for event in status.events:
            if self._is_live and event.time_ns > self._printed_until_ns:
                self._printed_until_ns = event.time_ns
                print(f"{event.source}: {event.message}", file=sys.stderr, flush=True)


def _watch(
    stream: FusionStream, window: ViewSettings | None, duration_s: float | None, events: _Events
) -> None:
    from refusion.cli.stream_window import StreamWindow

    display = None if window is None else StreamWindow(window)
    stream.start()
    started_s = time.monotonic()
    line_at_s = 0.0
    with _stop_requests() as requests, _live_line() as show:
        while not stream.join(0.0 if display else POLL_S):
            now_s = time.monotonic()
            if requests or (duration_s is not None and now_s - started_s >= duration_s):
                return
            if display is not None and not display.show_next(stream, POLL_S):
                return
            if now_s - line_at_s >= LINE_EVERY_S:
                line_at_s = now_s
                status = stream.status()
                events.print_latest(status)
                show(line_of(status))


@contextmanager
def _stop_requests() -> Iterator[list[int]]:
    """Collect what asks for an end inside the block; after the first, the next one acts as it would without.

    A terminal that is closed, or a connection that is lost, sends SIGHUP; nohup has it ignored.
    """
    requests: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    if before[signal.SIGHUP] is signal.SIG_IGN:
        del before[signal.SIGHUP]

    def note(number: int, _: FrameType | None) -> None:
        requests.append(number)
        for known, handler in before.items():
            signal.signal(known, handler)

    for number in before:
        signal.signal(number, note)
    try:
        yield requests
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _live_line() -> Iterator[Callable[[str], None]]:
    """Give what shows a line in place of the one before; nothing where standard error is no terminal."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda line: None
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield lambda line: live.update(Text(line, overflow="ellipsis", no_wrap=True), refresh=True)


def line_of(status: StreamStatus) -> str:
    """Return the figures that matter while a stream runs, in one line."""
    parts = [f"{status.rate_hz:5.1f} fps", f"{status.frames} fused"]
    if status.frames_single:
        parts.append(f"{status.frames_single} single")
    parts.append(f"{sum(one.dropped for one in status.sources) + status.dropped_by_sinks} dropped")
    if status.latency is not None:
        parts.append(f"latency {status.latency.p50_ms:.0f} ms")
    if status.skew is not None:
        parts.append(f"skew {status.skew.p50_ms:.0f} ms")
    parts += [f"{one.name} {one.state.value}" for one in status.sources]
    return " | ".join(parts)


def _summary(status: StreamStatus, out: Path | None) -> str:
    written = f", wrote {out}" if out is not None and out.exists() else ""
    dropped = sum(one.dropped for one in status.sources)
    return (
        f"{status.frames} frames fused, {status.frames_single} of one camera alone, "
        f"{dropped} received and not used, in {status.running_s:.1f} s{written}"
    )
