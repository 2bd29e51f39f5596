"""Sources of frame pairs: two videos frame by frame, or one synthetic scene."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from refusion.errors import InputError, UsageError
from refusion.frames import Frame, FramePair, checked_frame
from refusion.fused_stream import FusedStream
from refusion.stream.prefetching import Prefetched
from refusion.stream.synthetic import SyntheticScene
from refusion.stream.video import VideoReader
from refusion.tasks import Chroma
from refusion.timing import StageClock

SYNTHETIC = "synthetic:"
_FRAMES_AHEAD = 4


class PairSource(Protocol):
    """Pairs in order, with what a sink must know before the first. A context manager."""

    rate: Fraction
    """Frames a second."""
    size: tuple[int, int]
    """Width and height, pixels."""
    frame_count: int | None
    """Number of pairs, where it is known."""
    chroma: Chroma
    """Where the colour of the fused frames comes from: decided once, for all of them."""

    def __iter__(self) -> Iterator[FramePair]:
        """Yield the pairs."""

    def __enter__(self) -> PairSource:
        """Return the source."""

    def __exit__(self, *_: object) -> None:
        """Close it; closing twice is harmless."""


class VideoPairs:
    """Two video files of one size, rate and length, frame by frame. Nothing is dropped.

    Each is decoded in a thread of its own, a few frames ahead. A video without colour gives (H, W).
    """

    def __init__(self, a: Path, b: Path, *, clock: StageClock | None = None) -> None:
        """Open both.

        Args:
            a: A video.
            b: The other.
            clock: Gets the time of each frame of either as the stages "decode a" and "decode b", and how long
                each pair was waited for as "pair".

        Raises:
            InputError: One cannot be read, or they differ in size, rate or number of frames.
        """
        self._clock = clock or StageClock()
        self._decoding: list[Prefetched[_Decoded]] = []
        self._a = VideoReader(a)
        try:
            self._b = VideoReader(b)
        except BaseException:
            self._a.close()
            raise
        try:
            self._check()
            self.chroma = Chroma.of(a_is_gray=not self._a.has_colour, b_is_gray=not self._b.has_colour)
            for video in (self._a, self._b):
                video.luma = not video.has_colour
        except BaseException:
            self.__exit__()
            raise
        self.rate = self._a.rate
        self.size = self._a.size
        self.frame_count = self._a.frame_count

    def _check(self) -> None:
        facts = {
            "size": ("{0[0]}x{0[1]}", self._a.size, self._b.size),
            "frame rate": ("{0:g} Hz", _rounded(self._a.rate), _rounded(self._b.rate)),
            "number of frames": ("{0}", self._a.frame_count, self._b.frame_count),
        }
        for name, (form, a, b) in facts.items():
            if a is not None and b is not None and a != b:
                raise InputError(
                    f"the videos differ in {name}: {self._a.path} has {form.format(a)}, "
                    f"{self._b.path} has {form.format(b)}; convert one to the other"
                )

    def __iter__(self) -> Iterator[FramePair]:
        if not self._decoding:
            self._decoding = [self._decoded(self._a, "a"), self._decoded(self._b, "b")]
        decoded_a, decoded_b = self._decoding
        for number in itertools.count():
            with self._clock.stage("pair"):
                a, b = next(decoded_a, None), next(decoded_b, None)
            if a is None and b is None:
                return
            if a is None or b is None:
                shorter = self._a if a is None else self._b
                raise InputError(f"{shorter.path} ends after {number} frames, before the other video")
            frame_a = checked_frame(a.image, f"a ({self._a.path})")
            frame_b = checked_frame(b.image, f"b ({self._b.path})")
            yield FramePair(frame_a, frame_b, a.time_ns)

    def __enter__(self) -> VideoPairs:
        return self

    def __exit__(self, *_: object) -> None:
        # Nobody may be reading a file that is closed.
        self._stop_decoding()
        self._a.close()
        self._b.close()

    def _stop_decoding(self) -> None:
        for decoding in self._decoding:
            decoding.close()

    def _decoded(self, video: VideoReader, name: str) -> Prefetched[_Decoded]:
        stage = f"decode {name}"

        def take() -> _Decoded | None:
            with self._clock.stage(stage):
                image = next(video, None)
            return None if image is None else _Decoded(image, video.time_ns)

        return Prefetched(take, ahead=_FRAMES_AHEAD, name=stage)


class _Decoded(NamedTuple):
    image: Any
    time_ns: int


def _rounded(rate: Fraction) -> float:
    # Containers round: 30000/1001 Hz comes as 29.97 too.
    return round(float(rate), 2)


class SyntheticPairs:
    """A generated scene as a source of pairs."""

    def __init__(self, uri: str) -> None:
        """Set the scene up; see SyntheticScene.from_uri.

        Raises:
            UsageError: The address is malformed, or sets no number of frames.
        """
        self._scene = SyntheticScene.from_uri(uri)
        if self._scene.frame_count is None:
            raise UsageError(f"'{uri}' never ends: say how many frames to take, as in {SYNTHETIC}?frames=50")
        self.rate = Fraction(self._scene.rate_hz).limit_denominator(1001)
        self.size = (self._scene.width_px, self._scene.height_px)
        self.frame_count: int | None = self._scene.frame_count
        self.chroma = Chroma.B

    def __iter__(self) -> Iterator[FramePair]:
        return iter(self._scene)

    def __enter__(self) -> SyntheticPairs:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""


def fused_pairs(pairs: Iterable[FramePair], stream: FusedStream) -> Iterator[tuple[FramePair, Frame]]:
    """Yield each pair with its fused frame, several pairs in the works; see FusedStream.frames."""
    in_flight: deque[FramePair] = deque()

    def noted() -> Iterator[tuple[Frame, Frame]]:
        for pair in pairs:
            in_flight.append(pair)
            yield pair.a, pair.b

    for frame in stream.frames(noted()):
        yield in_flight.popleft(), frame


def open_pairs(a: str, b: str) -> PairSource:
    """Open two sources as one source of pairs.

    Args:
        a: Path of a video, or `synthetic:...`.
        b: Likewise; of a synthetic scene both views come from one address, so the two must be equal.

    Raises:
        InputError, UsageError: They cannot be opened, or do not belong together.
    """
    if SYNTHETIC in (a[: len(SYNTHETIC)], b[: len(SYNTHETIC)]):
        if a != b:
            raise UsageError(f"both views of a synthetic scene need the same address, not '{a}' and '{b}'")
        return SyntheticPairs(a)
    return VideoPairs(Path(a), Path(b))
