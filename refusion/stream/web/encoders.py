"""Encoders of live pictures for browsers: each picture in, what is sent for it out, nothing held back."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol, cast

import cv2
import numpy as np

from refusion.errors import BackendError
from refusion.frames import Frame

if TYPE_CHECKING:
    import av

CLOCK = Fraction(1, 90_000)
"""Time base of video in RTP (RFC 6184, section 5.1; RFC 7741, section 4.1), seconds."""
LARGEST_PX = (1920, 1080)
"""What is sent to browsers is shrunk to fit into this; snapshots and recordings are not."""
_JPEG_QUALITY = 82
_KEY_FRAME_INTERVAL = 60
_BIT_RATE, _HIGHEST_BIT_RATE = 3_000_000, 8_000_000


class Codec(enum.Enum):
    """How pictures travel; the value is the name in session descriptions (jpeg has none)."""

    h264 = "H264"
    vp8 = "VP8"
    jpeg = "JPEG"


@dataclass(frozen=True)
class Encoded:
    """One picture as it is sent, to all viewers that see the same."""

    data: bytes
    pts: int
    """Time of the picture in units of CLOCK."""
    is_key: bool
    """Whether it can be decoded without those before it."""


class Encoder(Protocol):
    """Encodes the pictures of one view; sizes may change between pictures."""

    def encode(self, picture: Frame, pts: int, *, key: bool) -> Encoded | None:
        """Encode the next picture, (H, W) or (H, W, 3) BGR; None where the codec gave nothing for it.

        Args:
            picture: It is not written to.
            pts: Its time in units of CLOCK, later than the one before.
            key: Whether it must be decodable by itself.
        """


def encoder_of(codec: Codec) -> Encoder:
    """Return a new encoder."""
    return JpegEncoder() if codec is Codec.jpeg else VideoEncoder(codec)


class JpegEncoder:
    """JPEG: every picture is a key picture."""

    def encode(self, picture: Frame, pts: int, *, key: bool) -> Encoded | None:
        """Encode the next picture; see Encoder."""
        _, data = cv2.imencode(".jpg", _fitting(picture), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        return Encoded(data.tobytes(), pts, True)


class VideoEncoder:
    """H.264 (constrained baseline) or VP8 without delay: no picture waits for a later one.

    Colour is BT.601, limited range: VP8 knows no other, and H.264 is tagged so.
    """

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._context: av.VideoCodecContext | None = None

    def encode(self, picture: Frame, pts: int, *, key: bool) -> Encoded | None:
        """Encode the next picture; see Encoder.

        Raises:
            BackendError: This build of PyAV has no such encoder.
        """
        import av
        from av.video.frame import PictureType

        planes = _yuv420p(_fitting(picture))
        raw = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        context = self._context
        if context is None or (context.width, context.height) != (raw.width, raw.height):
            context = self._context = self._open((raw.width, raw.height))
        raw.pts, raw.time_base = pts, CLOCK
        raw.pict_type = PictureType.I if key else PictureType.NONE
        packets = context.encode(raw)
        if not packets:
            return None
        return Encoded(b"".join(map(bytes, packets)), pts, any(packet.is_keyframe for packet in packets))

    def _open(self, size: tuple[int, int]) -> av.VideoCodecContext:
        import av

        name, options = _OPTIONS[self._codec]
        try:
            context = cast("av.VideoCodecContext", av.CodecContext.create(name, "w"))
        except av.codec.codec.UnknownCodecError:
            raise BackendError(
                f"this build of PyAV has no encoder {name}; pip install av brings it"
            ) from None
        context.width, context.height = size
        context.pix_fmt = "yuv420p"
        context.time_base = CLOCK
        context.framerate = Fraction(30)
        context.gop_size = _KEY_FRAME_INTERVAL
        context.options = options
        # ITU-T H.273: 6 is BT.601 (525 lines), range 1 is limited. Browsers take untagged H.264 for BT.709.
        context.color_primaries = context.color_trc = context.colorspace = 6
        context.color_range = 1
        if self._codec is Codec.h264:
            context.profile = "Baseline"
        else:
            context.bit_rate = _BIT_RATE
        # The network needs the cores; one thread encodes 640x480 in a few milliseconds.
        context.thread_count = 1 if size[0] * size[1] <= 1280 * 720 else 2
        return context


_OPTIONS = {
    Codec.h264: (
        "libx264",
        {
            "preset": "superfast",
            "tune": "zerolatency",
            "crf": "22",
            "maxrate": str(_HIGHEST_BIT_RATE),
            "bufsize": str(_HIGHEST_BIT_RATE // 2),
            # A requested key picture is one that viewers who join can begin with.
            "forced-idr": "1",
        },
    ),
    Codec.vp8: (
        "libvpx",
        {
            "deadline": "realtime",
            "cpu-used": "-6",
            "lag-in-frames": "0",
            "qmin": "4",
            "qmax": "48",
            "bufsize": str(_BIT_RATE),
            "maxrate": str(_HIGHEST_BIT_RATE),
        },
    ),
}


def _fitting(picture: Frame) -> Frame:
    """Return the picture, shrunk where it is larger than what is sent."""
    height, width = picture.shape[:2]
    scale = min(1.0, LARGEST_PX[0] / width, LARGEST_PX[1] / height)
    if scale == 1.0:
        return picture
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cast(Frame, cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


def _yuv420p(picture: Frame) -> Frame:
    """Return the planes of a picture as FFmpeg packs them, with an odd last row or column doubled."""
    odd_rows, odd_columns = picture.shape[0] % 2, picture.shape[1] % 2
    if odd_rows or odd_columns:
        even = cv2.copyMakeBorder(picture, 0, odd_rows, 0, odd_columns, cv2.BORDER_REPLICATE)
        picture = cast(Frame, even)
    if picture.ndim == 2:
        picture = cast(Frame, cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR))
    # OpenCV rather than swscale, which rounds neutral chroma to 127: gray would be tinted.
    return np.ascontiguousarray(cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420))
