"""What TensorRT says: it reports failures as None and log lines, so the lines are kept to be raised with."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

ERRORS = ("INTERNAL_ERROR", "ERROR")
# A message to the user quotes so much; the log beside an engine holds everything.
QUOTED_LINES = 3
QUOTED_CHARACTERS = 300


class LogLine(NamedTuple):
    """One line of TensorRT's log."""

    seconds: float
    """Since the recording began."""
    severity: str
    text: str


class Recording:
    """The lines that were logged while it ran."""

    def __init__(self, on_line: Callable[[], None] | None = None) -> None:
        self.lines: list[LogLine] = []
        self._started = time.perf_counter()
        self._on_line = on_line

    def add(self, severity: str, text: str) -> None:
        """Keep a line, and tell the listener."""
        self.lines.append(LogLine(time.perf_counter() - self._started, severity, text))
        if self._on_line is not None:
            self._on_line()

    def reason(self) -> str:
        """Return the first errors in one line; without errors the last warnings; without any, that."""
        errors = self._unique(ERRORS)
        # The first error is the cause, later ones follow from it; of warnings the last is the nearest.
        quoted = errors[:QUOTED_LINES] or self._unique(("WARNING",))[-QUOTED_LINES:]
        return "; ".join(quoted) or "it logged no reason"

    def text(self) -> str:
        """Return all lines, one a row."""
        return "".join(f"[{line.seconds:9.3f}] {line.severity}: {line.text}\n" for line in self.lines)

    def _unique(self, severities: tuple[str, ...]) -> list[str]:
        found = (" ".join(line.text.split()) for line in self.lines if line.severity in severities)
        return list(dict.fromkeys(text[:QUOTED_CHARACTERS] for text in found))


class LogBook:
    """Gives each line to the recordings that run; outside of them nothing is kept, so it cannot grow."""

    def __init__(self) -> None:
        self._recordings: list[Recording] = []
        self._lock = threading.Lock()

    def add(self, severity: str, text: str) -> None:
        """Take a line; TensorRT calls from threads of its own too."""
        with self._lock:
            running = tuple(self._recordings)
        for recording in running:
            recording.add(severity, text)

    @contextmanager
    def recording(self, on_line: Callable[[], None] | None = None) -> Iterator[Recording]:
        """Record the lines of the block.

        Args:
            on_line: Called after each line. It must not raise: TensorRT would end the process.
        """
        recording = Recording(on_line)
        with self._lock:
            self._recordings.append(recording)
        try:
            yield recording
        finally:
            with self._lock:
                self._recordings.remove(recording)


def create_logger(module: Any, book: LogBook) -> Any:
    """Return an ILogger of a TensorRT module that writes into the book."""

    def log(_: Any, severity: Any, message: str) -> None:
        book.add(severity.name, message)

    # The base is known at run time only. pybind11 wants the base's own __init__, which type() inherits.
    return type("BookLogger", (module.ILogger,), {"log": log})()
