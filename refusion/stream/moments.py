"""What streams are made of: captured frames, the state of their sources, and moments seen by both."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

RawFrame = NDArray[np.uint8] | NDArray[np.uint16]
"""(H, W) gray or (H, W, 3) BGR uint8, or (H, W) uint16: raw thermal."""


@dataclass(frozen=True, eq=False)
class CapturedFrame:
    """A frame as its source gave it."""

    image: RawFrame
    time_ns: int
    """Capture time, nanoseconds: time.monotonic_ns() of live sources, since the first frame of files."""
    index: int
    """Number of the frame in its source, from 0; frames that were dropped count."""


class SourceState(enum.Enum):
    """How a source is; the value is shown to people."""

    connecting = "connecting"
    live = "live"
    stalled = "stalled"
    """Connected, but its newest frame is older than the limit."""
    lost = "lost"
    """Disconnected; it is tried again after a pause."""
    ended = "ended"
    """Gave its last frame: a file at its end."""


@dataclass(frozen=True)
class SourceEvent:
    """A change of a source's state."""

    source: str
    """Which one: "infrared" or "visible"."""
    state: SourceState
    message: str
    """One line for people: what happened, and what is done about it. Never holds a password."""
    time_ns: int
    """time.monotonic_ns() of the change."""


@dataclass(frozen=True)
class SourceReport:
    """Figures of one source since its start."""

    name: str
    """"infrared" or "visible"."""
    uri: str
    """As given, without password."""
    state: SourceState
    size: tuple[int, int] | None
    """Width and height, pixels, once known."""
    received: int
    """Frames that came from the source."""
    dropped: int
    """Frames received and never given on, because newer ones came; 0 for files."""
    reconnects: int


@dataclass(frozen=True, eq=False)
class Moment:
    """Both views of one moment; or one of them alone, while the other has none that is young enough."""

    infrared: CapturedFrame | None
    visible: CapturedFrame | None
    time_ns: int
    """Capture time of the older frame."""
    states: tuple[SourceState, SourceState]
    """Of infrared and visible."""

    @property
    def skew_ns(self) -> int | None:
        """Infrared's capture time minus visible's (clock offset corrected); None where one is missing."""
        if self.infrared is None or self.visible is None:
            return None
        return self.infrared.time_ns - self.visible.time_ns


class MomentSource(Protocol):
    """Gives the moments of two sources. A context manager."""

    is_live: bool
    """Whether frames are dropped rather than waited for."""
    rate_hz: float
    """Moments a second that can be expected."""

    def __iter__(self) -> Iterator[Moment]:
        """Yield moments until the sources end or `stop` is called.

        Raises:
            InputError: A file is damaged, or a source cannot be used at all (wrong password, changed size).
        """

    def stop(self) -> None:
        """End the iteration soon; from any thread, also more than once."""

    def reports(self) -> tuple[SourceReport, SourceReport]:
        """Return the figures of infrared and visible. From any thread."""

    def events(self) -> list[SourceEvent]:
        """Return the latest changes of state, oldest first, at most 256. From any thread."""

    def __enter__(self) -> MomentSource:
        """Return the source."""

    def __exit__(self, *_: Any) -> None:
        """Close both sources; closing twice is harmless."""
