"""Written records of a run: losses.jsonl, and scalars and images for TensorBoard."""

from __future__ import annotations

import importlib.util
import json
import logging
from pathlib import Path

from refusion.training.reports import EpochReport, StepReport

log = logging.getLogger(__name__)

LOSSES_FILE, TENSORBOARD_FOLDER = "losses.jsonl", "tensorboard"


class LossFile:
    """losses.jsonl: the record of each epoch, a line each."""

    def __init__(self, run: Path, *, epochs_done: int) -> None:
        """Go on after the epochs that are done; a line of a later one is dropped, for it comes again."""
        self.path = run / LOSSES_FILE
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        kept = "".join(line + "\n" for line in lines[:epochs_done])
        partial = self.path.with_name(self.path.name + ".partial")
        partial.write_text(kept)
        partial.replace(self.path)

    def step(self, report: StepReport) -> None:
        """Nothing is written before the epoch ends."""

    def epoch(self, report: EpochReport) -> None:
        """Append the record."""
        with self.path.open("a") as file:
            file.write(json.dumps(report.record) + "\n")

    def close(self) -> None:
        """The file is open only while a line is written."""


class TensorBoard:
    """Event files in RUN/tensorboard; all scalars are over the number of steps of both phases."""

    def __init__(self, run: Path, *, position: int) -> None:
        """Go on at a position; what an interrupted run wrote after it is dropped, for it comes again."""
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(run / TENSORBOARD_FOLDER), purge_step=position + 1)

    def step(self, report: StepReport) -> None:
        """Write losses, learning rates and times."""
        for name, value in report.losses.items():
            self._scalar(f"{report.phase}/{name}", value, report.position)
        for name, value in report.rates.items():
            self._scalar(f"learning_rate/{name}", value, report.position)
        self._scalar(f"time/{report.phase}_step_seconds", report.seconds, report.position)
        self._scalar(f"time/{report.phase}_pairs_per_second", report.pairs_per_second, report.position)

    def epoch(self, report: EpochReport) -> None:
        """Write validation metrics and image panels; hand everything to the file."""
        for name, value in report.validation.items():
            self._scalar(f"validation/{name}", value, report.position)
        for name, image in report.panels.items():
            self._writer.add_image(f"panel/{name}", image.clip(0, 1), report.position, dataformats="HW")
        self._writer.flush()

    def _scalar(self, tag: str, value: float, position: int) -> None:
        self._writer.add_scalar(tag, value, position)

    def close(self) -> None:
        """Close the event file."""
        self._writer.close()


def open_tensorboard(run: Path, *, position: int) -> TensorBoard | None:
    """Return the TensorBoard of a run; where it is not installed, say so and return None."""
    if importlib.util.find_spec("tensorboard") is None:
        log.warning("there will be no TensorBoard files: pip install tensorboard, or 'refusion[train]'")
        return None
    return TensorBoard(run, position=position)
