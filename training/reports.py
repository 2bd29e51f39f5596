"""What a run tells those who watch it: losses as it goes, and the record of each epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Record = dict[str, float]
"""Losses, metrics and times of one epoch, by name."""


class StepReport(NamedTuple):
    """The steps of a phase since the last report."""

    epoch: int
    """From 1."""
    epochs: int
    phase: str
    step: int
    """Steps of the phase done in this epoch."""
    steps: int
    """Steps that the phase has in this epoch."""
    position: int
    """Steps of both phases done since the start of the run."""
    losses: Mapping[str, float]
    """Means over the reported steps."""
    rates: Mapping[str, float]
    """Learning rate of each optimiser."""
    seconds: float
    """Time a step."""
    pairs_per_second: float
    """Over all processes, before swapping."""
    left: Mapping[str, int]
    """Steps of each phase, and validations, to come."""


class EpochReport(NamedTuple):
    """The end of an epoch."""

    epochs: int
    position: int
    record: Record
    validation: Mapping[str, float]
    """Mean metrics and score; empty where there was no validation."""
    validation_seconds: float
    panels: Mapping[str, NDArray[np.float32]]
    """Images of the first validation pair by name, (H, W) in [0, 1]; empty where none are due."""
    left: Mapping[str, int]


class Observer(Protocol):
    """Someone who watches a run."""

    def step(self, report: StepReport) -> None:
        """Take the report on some steps."""

    def epoch(self, report: EpochReport) -> None:
        """Take the report on an epoch."""

    def close(self) -> None:
        """Release what is held; called once, however the run ends."""
