"""A run on the terminal: a bar with the losses and the time left, and a line an epoch."""

from __future__ import annotations

import statistics
import sys
from collections import defaultdict, deque
from collections.abc import Mapping

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from refusion.training.reports import EpochReport, StepReport
from refusion.training.schedule import FUSION, META, VALIDATION

REMEMBERED = 25
"""Durations of each kind that the estimate looks at: their median ignores a first step that compiles."""


class TimeLeft:
    """Estimates the time left from how long the latest steps of each kind took."""

    def __init__(self) -> None:
        self._seconds: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=REMEMBERED))

    def add(self, kind: str, seconds: float) -> None:
        """Take the duration of a step of a phase, or of a validation."""
        self._seconds[kind].append(seconds)

    def seconds(self, left: Mapping[str, int]) -> float:
        """Return the estimate for so many steps of each phase and validations."""
        medians = {kind: statistics.median(values) for kind, values in self._seconds.items()}
        # Of the other phase it is known at least that its steps are of the same order.
        either = max((medians[phase] for phase in (META, FUSION) if phase in medians), default=0.0)
        unknown = {META: either, FUSION: either, VALIDATION: 0.0}
        return sum(count * medians.get(kind, unknown[kind]) for kind, count in left.items())


def duration_text(seconds: float) -> str:
    """Return a duration in its two largest units: 42 s, 5 min 3 s, 2 h 10 min, 3 d 4 h."""
    rest = round(seconds)
    parts: list[str] = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, rest = divmod(rest, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count} {unit}")
        elif parts:
            break
    return " ".join(parts[:2])


class TerminalProgress:
    """Shows a run: a bar on standard error where that is a terminal, a line an epoch on standard output."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[losses]}"),
            TextColumn("{task.fields[left]} left"),
        )
        self._bar = Progress(
            *columns,
            console=console,
            disable=not console.is_terminal,
            transient=True,
            # Lines to a terminal are moved above the bar; those to a file must stay there.
            redirect_stdout=sys.stdout.isatty(),
        )
        self._task = self._bar.add_task("", start=True, total=None, losses="", left="?")
        self._bar.start()
        self._time_left = TimeLeft()
        self._line = ""

    def step(self, report: StepReport) -> None:
        """Move the bar."""
        self._time_left.add(report.phase, report.seconds)
        self._bar.update(
            self._task,
            description=f"epoch {report.epoch}/{report.epochs} {report.phase}",
            completed=report.step,
            total=report.steps,
            losses="  ".join(f"{name} {value:.3g}" for name, value in list(report.losses.items())[:2]),
            left=duration_text(self._time_left.seconds(report.left)),
        )

    def epoch(self, report: EpochReport) -> None:
        """Take what the line of the epoch will say."""
        if report.validation:
            self._time_left.add(VALIDATION, report.validation_seconds)
        record = dict(report.record)
        epoch, seconds = int(record.pop("epoch")), record.pop("seconds")
        values = "  ".join(f"{name} {value:.4g}" for name, value in record.items())
        left = duration_text(self._time_left.seconds(report.left))
        self._line = f"epoch {epoch}/{report.epochs}  {values}  took {duration_text(seconds)}, {left} left"

    def saved(self) -> None:
        """Print the line of the epoch: only now is its checkpoint on disk, and no kill can undo it."""
        if self._line:
            print(self._line, flush=True)
        self._line = ""

    def close(self) -> None:
        """Take the bar away."""
        self._bar.stop()
