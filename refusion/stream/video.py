"""Video files through PyAV: reading never ends short in silence, writing never leaves half a file."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from refusion.errors import InputError
from refusion.frames import Frame, size_text
from refusion.stream.containers import PLAYLISTS, declared_size, local_address, noted_size
from refusion.stream.video_writer import VideoWriter

if TYPE_CHECKING:
    import av

__all__ = ["VideoReader", "VideoWriter"]

_COLOUR_SCAN_FRAMES = 250
_COLOUR_TOLERANCE = 2
"""Chroma this near to neutral counts as gray: lossy encoders move it by a level or two."""
_PLANAR_LUMA = frozenset(
    {*(f"yuv{j}{sampling}p" for j in ("", "j") for sampling in (420, 422, 440, 444)), "nv12", "nv21"}
)
"""Pixel formats of 8 bits whose first plane is luma alone."""
_BLACK, _WHITE = 16, 235
"""Luma of limited range (ITU-T H.273, section 8.3)."""


class VideoReader:
    """Frames of one video file, in order.

    Colour streams give uint8 (H, W, 3) BGR. Streams stored in a gray pixel format give (H, W): uint8, or
    uint16 where more than 8 bits a pixel are stored (raw thermal; values are scaled to 16 bits). The pixel
    format alone decides which, so it holds for every frame. Infrared is often stored in a colour format with
    neutral chroma: its frames have three exactly equal channels, and `has_colour` tells such a stream from
    one that merely begins with a gray frame.

    A rotation noted in the file (phones) is applied. Odd sizes written by `VideoWriter` come back odd.

    Args:
        path: The file.
        luma: Give the luma of colour streams, (H, W), and no colour: for infrared, half the work. Of neutral
            colours it is the value of the three channels, within a gray level.
        ahead: Whether the decoder works ahead in threads of its own. Without it is slower, and does nothing
            between one frame's return and the next one's request.

    Examples:
        >>> with VideoReader("clip.mp4") as video:  # doctest: +SKIP
        ...     for frame in video:
        ...         print(video.time_ns, frame.shape)

    Raises:
        InputError: The file is missing, is not a video, has no video stream or no frames, or is truncated.
            While iterating: a frame cannot be decoded or changes size. Nothing is skipped in silence.
    """

    def __init__(self, path: str | os.PathLike[str], *, luma: bool = False, ahead: bool = True) -> None:
        self.path = Path(path)
        self._ahead = ahead
        self.luma = luma
        """Whether frames of colour streams come as their luma; may be changed before the first is taken."""
        self.time_ns = 0
        """Time of the frame given last, nanoseconds after the first frame."""
        self._container: av.container.InputContainer | None = None
        self._has_colour: bool | None = None

        self._container, self._stream = self._open()
        try:
            self._crop = noted_size(
                self._container.metadata.get("comment", ""), coded=(self._stream.width, self._stream.height)
            )
            # One for all frames: a new one for each frame costs five times the conversion itself.
            self._reformat = _reformatter()
            self._frames = self._decode()
            # Opening decodes one frame: only then is it known that there is one, and how large it comes out.
            self._pending = next(self._frames, None)
            if self._pending is None:
                raise InputError(f"{self.path} has a video stream, but no frames in it")
            height, width = self._picture(self._pending[1]).shape[:2]
        except BaseException:
            self.close()
            raise
        self.size = (width, height)
        """(width, height) of every frame, pixels."""
        self._taken = 0

    @property
    def rate(self) -> Fraction:
        """Frames a second; 25 where the file does not say."""
        return Fraction(self._stream.average_rate or self._stream.guessed_rate or 25)

    @property
    def frame_count(self) -> int | None:
        """Number of frames the file states, None where it states none."""
        return self._stream.frames or None

    @property
    def is_gray(self) -> bool:
        """Whether the stream is stored in a gray pixel format."""
        return _is_gray_format(self._stream.codec_context.pix_fmt or "")

    @property
    def has_colour(self) -> bool:
        """Whether any frame has colour, judged from the first 250 frames that others are predicted from, and
        every key frame after them.

        Stops at the first frame with colour. The verdict is kept; it does not disturb the iteration.
        """
        if self._has_colour is None:
            self._has_colour = not self.is_gray and (self._shows_colour_now() or self._find_colour())
        return self._has_colour

    def __iter__(self) -> Iterator[Frame | NDArray[np.uint16]]:
        return self

    def __next__(self) -> Frame | NDArray[np.uint16]:
        """Return the next frame; `time_ns` is its time.

        Raises:
            InputError: It cannot be decoded, or has another size than those before.
            StopIteration: The file is at its end, or closed.
        """
        following = self._pending or (next(self._frames, None) if self._container is not None else None)
        self._pending = None
        if following is None:
            raise StopIteration
        self.time_ns, raw = following
        picture = self._picture(raw)
        if picture.shape[1::-1] != self.size:
            raise InputError(
                f"{self.path} changes from {self.size[0]}x{self.size[1]} to {size_text(picture)} "
                f"at frame {self._taken}"
            )
        self._taken += 1
        return picture

    def close(self) -> None:
        """Close the file. Closing twice is harmless."""
        self._pending = None
        if self._container is not None:
            self._container.close()
            self._container = None

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> tuple[av.container.InputContainer, av.video.stream.VideoStream]:
        import av

        try:
            if not self.path.exists():
                raise InputError(f"there is no video {self.path}")
            if self.path.is_dir():
                raise InputError(f"{self.path} is a folder, not a video")
            declared, found = declared_size(self.path), self.path.stat().st_size
        except OSError as error:
            raise InputError(f"{self.path} cannot be read: {error.strerror}") from None
        if declared > found:
            raise InputError(
                f"{self.path} is truncated: it declares {declared} bytes and has {found}; "
                "copy it again, or keep what is there with: ffmpeg -i FILE -c copy NEW"
            )
        try:
            container = av.open(local_address(self.path))
        except OSError as error:
            raise InputError(f"{self.path} cannot be read: {error.strerror}") from None
        except (av.FFmpegError, ValueError):
            raise InputError(f"{self.path} is not a video, or is truncated") from None
        if not PLAYLISTS.isdisjoint(container.format.name.split(",")):
            container.close()
            raise InputError(f"{self.path} is a list of other files, not a video; give the videos themselves")
        if not container.streams.video:
            container.close()
            raise InputError(f"{self.path} has no video stream")
        stream = container.streams.video[0]
        if stream.codec_context is None:
            container.close()
            raise InputError(f"{self.path} has video of a codec that this FFmpeg cannot decode")
        stream.thread_type = "AUTO" if self._ahead else "SLICE"
        return container, stream

    def _decode(self) -> Iterator[tuple[int, av.VideoFrame]]:
        """Yield (time in ns, frame as decoded) of every frame."""
        import av

        assert self._container is not None
        first_pts: int | None = None
        index = 0
        try:
            for packet in self._container.demux(self._stream):
                for raw in packet.decode():
                    if packet.is_corrupt or raw.is_corrupt:
                        raise InputError(f"{self.path} is damaged or truncated at frame {index}")
                    if raw.pts is None or raw.time_base is None:
                        time_s = index / self.rate
                    else:
                        first_pts = raw.pts if first_pts is None else first_pts
                        time_s = (raw.pts - first_pts) * raw.time_base
                    yield round(time_s * 1_000_000_000), raw
                    index += 1
        except av.FFmpegError as error:
            raise InputError(
                f"{self.path} is damaged or truncated at frame {index}: {error.strerror}"
            ) from None

    def _picture(self, raw: av.VideoFrame) -> NDArray[Any]:
        layout = self._stream.codec_context.format
        pixel_format = "bgr24" if layout is None else array_format(layout)
        wants_luma = self.luma and pixel_format == "bgr24"
        if wants_luma and raw.format.name in _PLANAR_LUMA:
            return self._upright(_luma_plane(raw), raw)
        picture = self._reformat(raw, format=pixel_format, src_color_range=raw.color_range).to_ndarray()
        if wants_luma:
            picture = cast(Frame, cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY))
        return self._upright(picture, raw)

    def _upright(self, picture: NDArray[Any], raw: av.VideoFrame) -> NDArray[Any]:
        if self._crop is not None:
            width, height = self._crop
            picture = np.ascontiguousarray(picture[:height, :width])
        quarter_turns = round(raw.rotation / 90) % 4
        return np.ascontiguousarray(np.rot90(picture, quarter_turns)) if quarter_turns else picture

    def _shows_colour_now(self) -> bool:
        """Tell whether the frame that comes next shows colour, if one is decoded already."""
        return self._pending is not None and _shows_colour(self._reformat(self._pending[1], format="yuv420p"))

    def _find_colour(self) -> bool:
        import av

        container, stream = self._open()
        convert = _reformatter()
        # Half of the work: what only frames between two others show, which are predicted from, is no colour.
        stream.codec_context.skip_frame = "NONREF"
        with container:
            try:
                for index, raw in enumerate(container.decode(stream)):
                    if _shows_colour(convert(raw, format="yuv420p")):
                        return True
                    if index + 1 == _COLOUR_SCAN_FRAMES:
                        stream.codec_context.skip_frame = "NONKEY"
            except av.FFmpegError:
                # Iterating meets the same damage and reports it with the frame's number.
                return False
        return False


def _reformatter() -> Callable[..., av.VideoFrame]:
    from av.video.reformatter import VideoReformatter

    return VideoReformatter().reformat


def array_format(stored: av.VideoFormat) -> str:
    """Return the pixel format that pictures are turned into, by the one they are stored in."""
    if not _is_gray_format(stored.name):
        return "bgr24"
    return "gray16le" if stored.components[0].bits > 8 else "gray"


def _luma_plane(raw: av.VideoFrame) -> Frame:
    """Return the first plane of a frame, scaled to full range, (H, W)."""
    from av.video.reformatter import ColorRange

    plane = raw.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
    is_full = raw.color_range == ColorRange.JPEG or raw.format.name.startswith("yuvj")
    return rows.copy() if is_full else cast(Frame, cv2.LUT(rows, _full_range_table()))


@functools.cache
def _full_range_table() -> NDArray[np.uint8]:
    """Return the full-range value of each value of limited-range luma."""
    values = (np.arange(256) - _BLACK) * (255 / (_WHITE - _BLACK))
    return np.rint(values).clip(0, 255).astype(np.uint8)


def _is_gray_format(pixel_format: str) -> bool:
    return pixel_format.startswith(("gray", "ya8", "ya16", "mono"))


def _shows_colour(yuv420p: av.VideoFrame) -> bool:
    for plane in yuv420p.planes[1:]:
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
        chroma = rows[:, : plane.width]
        if chroma.max() > 128 + _COLOUR_TOLERANCE or chroma.min() < 128 - _COLOUR_TOLERANCE:
            return True
    return False
