"""Network streams through PyAV: RTSP, HTTP, UDP, TCP."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from refusion.errors import InputError
from refusion.stream.moments import RawFrame
from refusion.stream.sources.addresses import scheme_of, without_password
from refusion.stream.sources.interface import SourceLostError, TimedImage
from refusion.stream.sources.interruption import stopped_by
from refusion.stream.sources.network_errors import refusal
from refusion.stream.stream_clock import StreamClock
from refusion.stream.video import array_format

if TYPE_CHECKING:
    import av

SCHEMES = frozenset({"rtsp", "rtsps", "http", "https", "udp", "tcp", "rtp", "srt", "rtmp"})

OPEN_TIMEOUT_S, READ_TIMEOUT_S = 3.0, 2.0
PICTURE_TIMEOUT_S = 20.0
"""How long packets may come without a picture: longer than from one key frame to the next (x264: 10 s)."""
_NS = 1_000_000_000

# What is read to learn what the stream holds is decoded afterwards all the same (without fflags nobuffer,
# which would throw the first key frame away), so this delays the first picture and no other. The rate is
# measured here: left to FFmpeg, it takes 1.8 s of a 9 Hz stream.
_OPTIONS = {"analyzeduration": "500000", "probesize": "1000000", "fpsprobesize": "0"}
_DESCRIBED = {"analyzeduration": "1", "allowed_media_types": "video"}
"""RTSP servers say what they will send before they do."""
_SCHEME_OPTIONS = {
    "rtsp": _DESCRIBED,
    "rtsps": _DESCRIBED,
    "udp": {"overrun_nonfatal": "1", "fifo_size": "50000"},
}

_HOLDS = {"rtsp": 1, "rtp": 1, "sdp": 1, "mpegts": 2}
_HELD_CODECS = frozenset({"h264", "hevc", "mpeg4", "mpeg2video", "mpeg1video"})
"""Frames that FFmpeg holds back, by format: it knows that a frame of these codecs is whole only when the next
one begins; of a transport stream, when the one after that does."""

_TIMELESS = frozenset({"mpjpeg", "mjpeg", "h264", "hevc", "m4v", "mpegvideo", "jpeg_pipe", "image2pipe"})
"""Formats without presentation times; FFmpeg makes up 25 frames a second for them."""


class NetworkStream:
    """A live stream at a network address.

    Frames have the times of the stream, mapped to this machine's clock (see StreamClock); formats without
    times have those of arrival. Decoding uses threads within a frame only: threads across frames would
    hold back as many frames as there are threads. FFmpeg itself holds back one frame of H.264 over RTSP, and
    two in a transport stream. The times allow for that, so two cameras of different rates stay together.
    """

    is_live = True

    def __init__(self, address: str, *, rtsp_transport: str) -> None:
        self.uri = without_password(address)
        self._address = address
        scheme = scheme_of(address) or ""
        self._options = {**_OPTIONS, **_SCHEME_OPTIONS.get(scheme, {})}
        if scheme in ("rtsp", "rtsps"):
            self._options["rtsp_transport"] = rtsp_transport

    def open(self, stop: threading.Event) -> NetworkReader:
        """Connect.

        Raises:
            InputError: The server refuses, or the address cannot be read.
            SourceLostError: It does not answer, or sends nothing that is video.
        """
        import av

        with stopped_by(stop):
            try:
                container = av.open(
                    self._address, options=self._options, timeout=(OPEN_TIMEOUT_S, READ_TIMEOUT_S)
                )
            except (av.FFmpegError, OSError) as error:
                raise refusal(error, self.uri) from None
        try:
            self._check(container)
            return NetworkReader(container, stop)
        except BaseException:
            container.close()
            raise

    def _check(self, container: av.container.InputContainer) -> None:
        if not container.streams.video:
            raise SourceLostError("it sends no video")
        if scheme_of(self._address) in ("http", "https") and container.duration:
            raise InputError(
                f"{self.uri} is a recording of {container.duration / 1e6:.1f} s, no live stream; "
                "download it and give the file"
            )


class NetworkReader:
    """Reads the frames of one connection.

    After a damaged packet, pictures are left out up to the next key frame: decoders would go on with
    smeared ones.
    """

    start_ns = None

    def __init__(self, container: av.container.InputContainer, stop: threading.Event) -> None:
        from av.video.reformatter import VideoReformatter

        self.damaged = 0
        self._container, self._stop = container, stop
        self._stream = container.streams.video[0]
        self._stream.codec_context.thread_type = "SLICE"
        # The decoder hides what it cannot decode; told to "explode", it says so.
        self._stream.codec_context.options = {"err_detect": "explode"}
        self._has_times = container.format.name not in _TIMELESS
        self._needs_key = True
        self._clock = StreamClock()
        is_held = self._stream.codec_context.name in _HELD_CODECS
        held = _HOLDS.get(container.format.name, 0) if is_held else 0
        self._given_ns: deque[int] = deque(maxlen=held + 1)
        self._convert = VideoReformatter().reformat
        self._packets: Iterator[av.Packet[av.VideoStream]] = container.demux(self._stream)
        self._decoded: deque[tuple[av.VideoFrame, int]] = deque()

    @property
    def rate_hz(self) -> float | None:
        """Frames a second, measured; None before the fourth frame. What streams declare is often wrong."""
        return self._clock.rate_hz

    def read(self) -> TimedImage | None:
        """Return the next image; None when told to stop.

        Raises:
            SourceLostError: Nothing came for two seconds, or nothing whole for twenty, or the connection was
                closed.
        """
        give_up_s = time.monotonic() + PICTURE_TIMEOUT_S
        with stopped_by(self._stop):
            while not self._decoded:
                if self._stop.is_set():
                    return None
                if time.monotonic() > give_up_s:
                    raise SourceLostError(f"no whole picture in {PICTURE_TIMEOUT_S:.0f} s of packets")
                self._decoded.extend(self._decode_next())
        frame, arrival_ns = self._decoded.popleft()
        image = self._convert(frame, format=array_format(frame.format), src_color_range=frame.color_range)
        time_ns = self._clock.time_ns(self._presented_ns(frame.pts), arrival_ns)
        return TimedImage(cast(RawFrame, image.to_ndarray()), time_ns)

    def close(self) -> None:
        """Close the connection."""
        self._decoded.clear()
        self._container.close()

    def _decode_next(self) -> Iterator[tuple[av.VideoFrame, int]]:
        """Yield the frames that the next packet completes, with its time of arrival."""
        import av

        try:
            packet = next(self._packets, None)
        except (av.FFmpegError, OSError) as error:
            if self._stop.is_set():
                return
            raise SourceLostError(_interruption(error)) from None
        arrival_ns = time.monotonic_ns()
        if packet is None or packet.size == 0:
            raise SourceLostError("the server ended the stream")
        self._given_ns.append(arrival_ns)
        presented_ns = self._presented_ns(packet.pts)
        if presented_ns is not None and len(self._given_ns) == self._given_ns.maxlen:
            # A packet began to arrive when the one before it was given out.
            self._clock.observe(presented_ns, self._given_ns[0])
        if packet.is_corrupt:
            self._note_damage()
            return
        if self._needs_key:
            if not packet.is_keyframe:
                return
            self._stream.codec_context.flush_buffers()
        try:
            frames = self._stream.codec_context.decode(packet)
        except av.FFmpegError:
            self._note_damage()
            return
        if any(frame.is_corrupt for frame in frames):
            self._note_damage()
            return
        self._needs_key = False
        for frame in frames:
            yield frame, arrival_ns

    def _note_damage(self) -> None:
        self.damaged += 1
        self._needs_key = True

    def _presented_ns(self, pts: int | None) -> int | None:
        if pts is None or not self._has_times or self._stream.time_base is None:
            return None
        return round(pts * self._stream.time_base * _NS)


def _interruption(error: Exception) -> str:
    import av

    if isinstance(error, av.ExitError):
        return f"nothing came for {READ_TIMEOUT_S:.0f} s"
    return f"the connection broke ({getattr(error, 'strerror', None) or error})"
