"""Writing video files through PyAV."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from refusion.errors import InputError, OutputError, UsageError
from refusion.files import refuse_existing, refuse_unwritable
from refusion.frames import Frame, checked_frame, size_text
from refusion.partial_files import MOST_STEM
from refusion.stream.containers import cut_to_whole_fragments, local_address, size_note

if TYPE_CHECKING:
    import av

_FRAGMENT_S = 2
_TICKS_PER_FRAME = 100
"""Time stamps are finer than the frame rate, so that frames of a live source keep their own times."""


class VideoWriter:
    """H.264 in MP4 (libx264, yuv420p, CRF 18), written beside the target and renamed to it on a clean close.

    While it is written, the file `NAME.PID.partial.mp4` is a fragmented MP4 that plays up to its last whole
    fragment of two seconds, so that is about what a killed process loses; without `keep`, what the encoder
    holds back to look ahead is lost, too. A clean close makes an ordinary MP4 of it. An exception inside the
    `with` block removes the partial file and leaves the target as it was.

    Colour is BT.709 from 720 lines on and BT.601 below, limited range, and tagged so: players that ignore the
    tags show the right colours too. The 4:2:0 format needs even sizes; the last column or row of an odd size
    is doubled in the file (rather than 4:4:4, which browsers and hardware decoders do not play), and a note
    in the file's comment lets `VideoReader` crop it off again.

    Args:
        path: Target, NAME.mp4.
        rate: Frames a second.
        size: (width, height) of the frames, pixels.
        force: Replace the target if it is there.
        keep: Whether a failure, such as a full disk, leaves the target with all whole fragments until then:
            a recording cannot be made again. Without it a failure leaves the target as it was.

    Raises:
        UsageError: The rate or the size is not positive.
        OutputError: The name does not end in .mp4, the target is there (without force), or its folder is
            missing or cannot be written. While writing: the disk is full, or no frame was written at all.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        rate: Fraction | float,
        size: tuple[int, int],
        force: bool = False,
        keep: bool = False,
    ) -> None:
        self.path = Path(path)
        self.size = size
        self.frame_count = 0
        self._force = force
        self._keep = keep
        self._container: av.container.OutputContainer | None = None
        self._first_ns = 0
        self._last_pts = -1
        self._last_key_pts = 0

        if not 0 < rate < math.inf:
            raise UsageError(f"a video's frame rate must be positive, not {rate}")
        if min(size) < 1:
            raise UsageError(f"a video's size must be positive, not {size[0]}x{size[1]}")
        if self.path.suffix.lower() != ".mp4":
            raise OutputError(
                f"{self.path} cannot be written: videos are written as MP4, so name it NAME.mp4"
            )
        refuse_unwritable(self.path, force=force)
        self._partial = _new_partial(self.path)
        exact_rate = Fraction(rate).limit_denominator(1001)
        self._time_base = 1 / (exact_rate * _TICKS_PER_FRAME)
        with self._failures_reported():
            self._open(exact_rate)

    def write(self, frame: Frame, *, time_ns: int | None = None) -> None:
        """Append one frame.

        Args:
            frame: uint8 (H, W) gray or (H, W, 3) BGR, of the writer's size.
            time_ns: Its time, for sources that drop frames; the first frame's time becomes zero. Without it
                frames follow each other at the writer's rate. Give it for all frames or for none.

        Raises:
            InputError: The frame has another size, or is none.
            OutputError: It cannot be written (the disk is full).
            UsageError: The writer is closed.
        """
        import av

        if self._container is None:
            raise UsageError(f"{self.path} is closed: no frame can be added")
        frame = checked_frame(frame, "frame")
        if frame.shape[1::-1] != self.size:
            raise InputError(
                f"the video {self.path} is {self.size[0]}x{self.size[1]}, but the frame is {size_text(frame)}"
            )
        raw = av.VideoFrame.from_ndarray(_yuv420p(frame, self._matrix), format="yuv420p")
        raw.pts = self._next_pts(time_ns)
        raw.time_base = self._time_base
        if raw.pts - self._last_key_pts >= _FRAGMENT_S / self._time_base:
            raw.pict_type = av.video.frame.PictureType.I
            self._last_key_pts = raw.pts
        with self._failures_reported():
            self._container.mux(self._stream.encode(raw))
        self.frame_count += 1

    def close(self) -> None:
        """Finish the file and give it its name. Closing twice is harmless.

        Raises:
            OutputError: No frame was written, the rest cannot be written, or the target has appeared since.
        """
        if self._container is None:
            return
        if self.frame_count == 0:
            self.discard()
            raise OutputError(f"{self.path} was not written: it got no frames")
        with self._failures_reported():
            self._container.mux(self._stream.encode(None))
            container, self._container = self._container, None
            container.close()
            refuse_existing(self.path, force=self._force)
            self._partial.replace(self.path)

    def discard(self) -> None:
        """Give up: remove the partial file and leave the target as it was."""
        self._abandon()
        self._partial.unlink(missing_ok=True)

    def _abandon(self) -> None:
        import av

        container, self._container = self._container, None
        if container is not None:
            # The file is removed next, or cut: whether its end could be written does not matter.
            with suppress(av.FFmpegError, OSError):
                container.close()

    def _give_up(self) -> str:
        """Keep what can be kept, and return how a message says so."""
        self._abandon()
        if not self._keep or not self._partial.exists() or not cut_to_whole_fragments(self._partial):
            self._partial.unlink(missing_ok=True)
            return ""
        kept = self._partial if self.path.exists() and not self._force else self._partial.replace(self.path)
        return f"; what was written until then is in {kept}"

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

    def _open(self, rate: Fraction) -> None:
        import av

        width, height = self.size
        high_definition = height >= 720
        kr, kb = (0.2126, 0.0722) if high_definition else (0.299, 0.114)
        self._matrix = _yuv_matrix(kr=kr, kb=kb)
        # hybrid_fragmented (FFmpeg 7.1): fragments while writing, an ordinary file once closed. Without
        # flush_packets FFmpeg would hold back 256 KiB, which can be a minute.
        self._container = av.open(
            local_address(self._partial),
            "w",
            format="mp4",
            options={"movflags": "frag_keyframe+hybrid_fragmented", "flush_packets": "1"},
        )
        self._container.metadata["comment"] = size_note(self.size)
        stream = self._container.add_stream(
            "libx264",
            rate=rate,
            options=self._encoder_options(rate),
        )
        assert isinstance(stream, av.video.stream.VideoStream)
        stream.width, stream.height = width + width % 2, height + height % 2
        stream.pix_fmt = "yuv420p"
        stream.time_base = self._time_base
        context = stream.codec_context
        context.time_base = self._time_base
        # Beyond four threads x264 gains little at these sizes, and each one holds back a frame.
        context.thread_count = min(4, os.cpu_count() or 1)
        # ITU-T H.273: 1 is BT.709, 6 is BT.601 (525 lines); range 1 is limited.
        context.color_primaries = context.color_trc = context.colorspace = 1 if high_definition else 6
        context.color_range = 1
        self._stream = stream

    def _encoder_options(self, rate: Fraction) -> dict[str, str]:
        # Against veryfast at CRF 16: 0.4 times the processor time, which fusing needs, for the same PSNR (of
        # luma: a fused night street 42.1 dB, M3SVD 48.0 and 48.7) in files 1.1 and 1.4 times as large. The
        # preset alone lacks CABAC, which saves an eighth of a file, and the filter for edges of blocks.
        options = {"preset": "ultrafast", "crf": "18", "x264-params": "cabac=1:deblock=0,0"}
        options["g"] = str(max(1, round(_FRAGMENT_S * rate)))
        # Otherwise the encoder holds back frames to look ahead: of a slow stream, many seconds.
        return {**options, "tune": "zerolatency"} if self._keep else options

    def _next_pts(self, time_ns: int | None) -> int:
        if time_ns is None:
            pts = self.frame_count * _TICKS_PER_FRAME
        else:
            if self.frame_count == 0:
                self._first_ns = time_ns
            pts = round(Fraction(time_ns - self._first_ns, 1_000_000_000) / self._time_base)
        self._last_pts = max(pts, self._last_pts + 1)
        return self._last_pts

    @contextmanager
    def _failures_reported(self) -> Iterator[None]:
        import av

        try:
            yield
        except (av.FFmpegError, OSError) as error:
            kept = self._give_up()
            raise OutputError(f"{self.path} cannot be written: {error.strerror}{kept}") from None
        except BaseException:
            self.discard()
            raise


def _new_partial(target: Path) -> Path:
    """Create the partial file, which a process that was killed may have left under the first names.

    PyAV would create it with the first packet, many frames on; a folder that cannot be written has to show
    here. (The header cannot be written yet: FFmpeg 8.1 crashes where no packet follows it.)
    """
    # Cut: the target's name may be as long as names can be.
    name, number = f"{target.stem[:MOST_STEM]}.{os.getpid()}", 0
    while True:
        partial = target.with_name(f"{name}-{number}.partial.mp4" if number else f"{name}.partial.mp4")
        try:
            partial.touch(exist_ok=False)
        except FileExistsError:
            number += 1
        except OSError as error:
            raise OutputError(f"{target} cannot be written: {error.strerror}") from None
        else:
            return partial


def _yuv_matrix(*, kr: float, kb: float) -> NDArray[np.float32]:
    """Return the (3, 4) affine map from BGR to limited-range Y'CbCr, 0 to 255 (ITU-T H.273, section 8.3)."""
    y = np.array([kb, 1 - kr - kb, kr])
    cb = (np.array([1, 0, 0]) - y) / (2 * (1 - kb))
    cr = (np.array([0, 0, 1]) - y) / (2 * (1 - kr))
    gains = np.stack([y * 219, cb * 224, cr * 224]) / 255
    return np.hstack([gains, [[16], [128], [128]]]).astype(np.float32)


def _yuv420p(frame: Frame, matrix: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return a frame's planes as FFmpeg packs them, (H * 3 / 2, W), with an odd last row or column doubled.

    OpenCV rather than swscale: by default that rounds neutral chroma to 127, and gray would read back tinted.
    """
    bgr = cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR) if frame.ndim == 2 else frame
    odd_rows, odd_columns = bgr.shape[0] % 2, bgr.shape[1] % 2
    if odd_rows or odd_columns:
        bgr = cv2.copyMakeBorder(bgr, 0, odd_rows, 0, odd_columns, cv2.BORDER_REPLICATE)
    height, width = bgr.shape[:2]
    yuv = cv2.transform(bgr, matrix)
    chroma = cv2.resize(yuv, (width // 2, height // 2), interpolation=cv2.INTER_AREA)[..., 1:]
    packed = np.empty((height * 3 // 2, width), np.uint8)
    packed[:height] = yuv[..., 0]
    packed[height:].reshape(2, height // 2, width // 2)[:] = chroma.transpose(2, 0, 1)
    return packed
