"""What a running stream shows of itself, and what can be asked of it: for viewers, reports and meters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from refusion.frames import Frame
from refusion.stream.moments import SourceEvent, SourceReport, SourceState
from refusion.timing import Percentiles
from refusion.warp import Warp

if TYPE_CHECKING:
    from refusion.alignment import Calibration


@dataclass(frozen=True, eq=False)
class StreamFrame:
    """One moment of a stream, finished."""

    index: int
    """From 0; frames that a sink did not take count."""
    time_ns: int
    """Capture time of the older source frame."""
    fused: Frame | None
    """The fused picture, (H, W) or (H, W, 3) BGR; None while one source is missing."""
    infrared: NDArray[np.uint8] | None
    """(h, w) gray, after gain control, in its own geometry; None while missing."""
    visible: Frame | None
    """In the geometry of the fused picture; None while missing."""
    warp: Warp | None
    """From the fused picture to infrared; None where they have one geometry."""
    skew_ns: int | None
    states: tuple[SourceState, SourceState]
    """Of infrared and visible."""
    is_infrared_frozen: bool = False
    """Whether the thermal camera's shutter is closed: its picture is held."""

    @cached_property
    def aligned_infrared(self) -> NDArray[np.uint8] | None:
        """Infrared in the geometry of the fused picture, (H, W); black outside of its field of view."""
        if self.infrared is None or self.warp is None:
            return self.infrared
        from refusion.ops import warped

        return warped(self.infrared, self.warp)


@dataclass(frozen=True)
class StreamStatus:
    """Figures of a running stream."""

    running_s: float
    frames: int
    """Pairs fused."""
    frames_single: int
    """Frames shown of one camera alone."""
    rate_hz: float
    """Fused frames a second over the last seconds."""
    dropped_by_sinks: int
    sources: tuple[SourceReport, SourceReport]
    """Of infrared and visible."""
    events: list[SourceEvent]
    """The latest changes of state, oldest first."""
    skew: Percentiles | None
    """Of the absolute difference of capture times; None before the first pair."""
    stages: dict[str, Percentiles]
    """Durations by stage: arrival (of live sources: from capture until fusing begins), thermal, pre, network,
    post, view, encode, ..."""
    latency: Percentiles | None
    """From the older frame's capture until the picture is there for viewers and sinks; None before the first,
    and where sources are files."""
    size: tuple[int, int] | None
    """Width and height of the fused picture, once known."""
    task: str
    backend: str
    """What runs where, for people."""
    recording: Path | None
    """The file that is being recorded to."""
    has_ended: bool
    latency_written: Percentiles | None = None
    """From the older frame's capture until a sink had written the picture; None as for `latency`."""


class MonitoredStream(Protocol):
    """A running stream as viewers see it. All methods may be called from any thread."""

    def wait(self, after: int, timeout_s: float) -> StreamFrame | None:
        """Wait for a frame newer than number `after` (-1: any) and return the newest; None if none came."""

    def status(self) -> StreamStatus:
        """Return the figures as they are."""

    @property
    def calibration(self) -> Calibration | None:
        """How infrared is mapped onto visible at the moment; None until both sizes are known."""

    def set_calibration(self, calibration: Calibration) -> None:
        """Use another calibration from the next frame on.

        Raises:
            InputError: It is for other sizes.
        """

    def save_calibration(self) -> Path:
        """Write the calibration to the stream's calibration file and return its path.

        Raises:
            OutputError: It cannot be written.
        """

    def start_recording(self) -> Path:
        """Begin a new file with the fused pictures to come, and return its path; if one runs, that one's.

        Raises:
            OutputError: It cannot be written.
        """

    def stop_recording(self) -> Path | None:
        """Finish the file and return its path; None if none was recorded.

        Raises:
            OutputError: Its end cannot be written.
        """

    def save_snapshot(self, picture: Frame) -> Path:
        """Write a picture as PNG beside the recordings and return its path.

        Raises:
            OutputError: It cannot be written.
        """
