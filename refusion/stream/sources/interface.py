"""What a source of frames is: something that can be opened, again where it was lost, and read."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from refusion.stream.moments import RawFrame


class TimedImage(NamedTuple):
    """One image and when it was taken."""

    image: RawFrame
    time_ns: int
    """time.monotonic_ns() of live sources; since the first frame of recordings."""


class SourceLostError(Exception):
    """A live source cannot be reached, or went away: it may come back. The message says what was seen."""


class Reader(Protocol):
    """A source that is open. Used by one thread alone."""

    @property
    def rate_hz(self) -> float | None:
        """Frames a second; None where the source does not say."""

    @property
    def start_ns(self) -> int | None:
        """Time of day of a recording's first frame, nanoseconds since 1970; None where it is not known."""

    @property
    def damaged(self) -> int:
        """Number of packets that came damaged; pictures that they would smear are left out."""

    def read(self) -> TimedImage | None:
        """Return the next image, waiting for it; None at a recording's end, or when told to stop.

        Raises:
            InputError: A recording is damaged.
            SourceLostError: A live source went away.
        """

    def close(self) -> None:
        """Release it. Closing twice is harmless."""


class Source(Protocol):
    """Where frames come from. Making one touches nothing; opening it does."""

    @property
    def uri(self) -> str:
        """The address as given, without password."""

    @property
    def is_live(self) -> bool:
        """Whether frames must be taken when they come; a recording waits."""

    def open(self, stop: threading.Event) -> Reader:
        """Connect.

        Args:
            stop: Once set, opening and reading end within about a second.

        Raises:
            InputError: It cannot be used, and trying again would not help.
            SourceLostError: It cannot be reached now.
        """


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """How sources are opened, as far as their address does not say."""

    rate_hz: float | None = None
    """Frames a second of image folders, and the rate asked of cameras."""
    size: tuple[int, int] | None = None
    """Width and height asked of cameras, pixels."""
    format: str | None = None
    """Pixel format asked of cameras, four characters as V4L2 has them: MJPG, YUYV, Y16."""
    is_infrared: bool = False
    """Whether a camera of no stated format is to give 16-bit gray (Y16) if it can, and a video its luma."""
    rtsp_transport: str = "tcp"
    """"tcp", which loses no packets, or "udp"."""
