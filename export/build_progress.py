"""How far a build is: TensorRT's nested phases as one fraction, and its only brake."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Progress = Callable[["float | None", str], None]
"""Takes the share that is done, in [0, 1] (None: unknown), and what is being done."""


class _Phase:
    def __init__(self, parent: str | None, steps: int) -> None:
        self.parent = parent
        self.steps = max(steps, 1)
        self.done = 0


class BuildWatch:
    """Turns TensorRT's callbacks into progress; says when to stop.

    Nothing may be raised into TensorRT (it would end the process): what the caller's progress raises is kept
    in `failure`, and the build is stopped where it can be.
    """

    def __init__(self, progress: Progress) -> None:
        self.failure: Exception | None = None
        self._progress = progress
        self._should_stop = False
        self._phases: dict[str, _Phase] = {}
        self._fraction: float | None = None
        self._phase = "building"

    def stop(self) -> None:
        """Ask the build to stop at its next step."""
        self._should_stop = True

    def guarded(self, call: Callable[[], None]) -> None:
        """Make a call of the caller's, whose exception is kept."""
        if self.failure is not None:
            return
        try:
            call()
        except Exception as error:  # whatever it is, it is raised when TensorRT is out of the way
            self.failure = error
            self._should_stop = True

    def line(self) -> None:
        """A line was logged: the one sign of life of versions without a progress monitor."""
        self._tell()

    def phase_start(self, name: str, parent: str | None, steps: int) -> None:
        """Begin a phase; a parent's step lasts as long as the phases in it."""
        self._phases[name] = _Phase(parent, steps)
        self._phase = name
        self._tell()

    def step_complete(self, name: str, step: int) -> bool:
        """End a phase's step, numbered from 0. Returns whether to go on."""
        phase = self._phases.get(name)
        if phase is not None:
            phase.done = max(phase.done, step + 1)
        self._tell()
        return not self._should_stop

    def phase_finish(self, name: str) -> None:
        """End a phase."""
        phase = self._phases.pop(name, None)
        if phase is not None and phase.parent is None:
            self._fraction = 1.0
        self._tell()

    def _tell(self) -> None:
        roots = [name for name, phase in self._phases.items() if phase.parent is None]
        if roots:
            # Never back: a phase may begin again under another parent.
            self._fraction = max(self._fraction or 0.0, *map(self._share, roots))
        self.guarded(lambda: self._progress(self._fraction, self._phase))

    def _share(self, name: str) -> float:
        phase = self._phases[name]
        inner = [self._share(child) for child, other in self._phases.items() if other.parent == name]
        return min(1.0, (phase.done + max(inner, default=0.0)) / phase.steps)


def create_monitor(module: Any, watch: BuildWatch) -> Any:
    """Return an IProgressMonitor of a TensorRT module (10 and later) that tells the watch."""

    def phase_start(_: Any, name: str, parent: str | None, steps: int) -> None:
        watch.phase_start(name, parent, steps)

    def step_complete(_: Any, name: str, step: int) -> bool:
        return watch.step_complete(name, step)

    def phase_finish(_: Any, name: str) -> None:
        watch.phase_finish(name)

    methods = {"phase_start": phase_start, "step_complete": step_complete, "phase_finish": phase_finish}
    # The base is known at run time only; see create_logger.
    return type("WatchMonitor", (module.IProgressMonitor,), methods)()
