"""Opening a stream: from addresses and options to sources, network and sinks."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from refusion.errors import UsageError
from refusion.files import refuse_source
from refusion.fuser import Fuser
from refusion.models import Model
from refusion.placement import Device
from refusion.ranges import RangePolicy
from refusion.stream.fusing import MomentFuser
from refusion.stream.pairing import open_moments
from refusion.stream.pipeline import FusionStream
from refusion.stream.recording import Recorder
from refusion.stream.registration import Registration
from refusion.stream.rendering import View, ViewSettings
from refusion.stream.sinks import Sink, open_sink, refuse_target
from refusion.tasks import Task

DEFAULT_CALIBRATION = Path("calibration.yaml")


def open_stream(
    ir: str | Path | int,
    visible: str | Path | int,
    *,
    calibration: str | Path | None = None,
    refine: bool = False,
    max_skew_ms: float | None = None,
    clock_offset_ms: float = 0.0,
    max_age_ms: float | None = None,
    realtime: bool = False,
    loop: bool = False,
    ir_rate_hz: float | None = None,
    visible_rate_hz: float | None = None,
    ir_size: tuple[int, int] | None = None,
    rtsp_transport: str = "tcp",
    agc: str = "percentile",
    span_kelvin: float | tuple[float, float] | None = None,
    kelvin_per_count: float | None = None,
    kelvin_offset: float = 0.0,
    output_range: str | RangePolicy = "tracked",
    out: str | Path | None = None,
    settings: ViewSettings | None = None,
    recordings: str | Path = "recordings",
    force: bool = False,
    max_frames: int | None = None,
    model: str | Model | None = None,
    weights: str | Path | None = None,
    backend: str = "auto",
    device: str | Device = "auto",
    engines: str | Path | Sequence[str | Path] | None = None,
    trust: bool = False,
    url: str | None = None,
    threads: int = 0,
) -> FusionStream:
    """Open an infrared and a visible source as one fused stream.

    A source is a folder of images, a video file, a camera (index, or /dev/videoN), `rtsp://`, `http://`,
    `udp://`, `gst:PIPELINE`, or `synthetic:` for both.

    Examples:
        >>> import refusion
        >>> scene = "synthetic:?width=64&height=48&frames=3"
        >>> with refusion.open_stream(ir=scene, visible=scene) as stream:
        ...     [frame.fused.shape for frame in stream]
        [(48, 64, 3), (48, 64, 3), (48, 64, 3)]

    Args:
        ir: The infrared source. 8-bit frames pass as they are, 16-bit frames (raw thermal) get gain control.
        visible: The visible source. The fused picture has its geometry, cropped as the calibration says.
        calibration: File of `refusion calibrate`. Without one both are taken to show the same view.
        refine: Follow slow changes of the alignment.
        max_skew_ms: Most difference of the capture times of a pair; None chooses by the rates.
        clock_offset_ms: Added to infrared's capture times.
        max_age_ms: Of live sources: the age from which a frame is not fused any more; None chooses.
        realtime: Play files as cameras would: at their rate, dropping what is not fused in time.
        loop: Begin files again at their end.
        ir_rate_hz: Rate of an infrared folder; None is 25.
        visible_rate_hz: Likewise of visible.
        ir_size: Width and height of infrared frames that come flattened.
        rtsp_transport: tcp or udp.
        agc: Gain control of 16-bit infrared: percentile, plateau, or span.
        span_kelvin: For agc "span", as for `refusion.thermal.GainControl`.
        kelvin_per_count: Likewise.
        kelvin_offset: Likewise.
        output_range: Range policy: tracked, image or off; see `Fuser`.
        out: Also write the picture: NAME.mp4, or a folder of PNG files.
        settings: View, palette and blend of `out`; None is the fused picture.
        recordings: Folder of recordings and snapshots that a viewer asks for.
        force: Replace outputs that are there.
        max_frames: End after so many frames.
        model: As for `Fuser`.
        weights: As for `Fuser`.
        backend: As for `Fuser`.
        device: As for `Fuser`.
        engines: As for `Fuser`.
        trust: As for `Fuser`.
        url: As for `Fuser`.
        threads: As for `Fuser`.

    Raises:
        UsageError: Options that do not fit together, or unknown names.
        InputError: A source or the calibration cannot be used.
        OutputError: An output is there already, or cannot be written.
        WeightsError, BackendError: See `Fuser`.
    """
    from refusion.alignment import load_calibration
    from refusion.thermal import GainControl

    if out is not None:
        refuse_source(out, str(ir), str(visible))
        refuse_target(Path(out), force=force)
    if max_frames is not None and not 0 < max_frames <= sys.maxsize:
        raise UsageError(f"the number of frames must be 1 to {sys.maxsize}, not {max_frames}")
    path = DEFAULT_CALIBRATION if calibration is None else Path(calibration)
    registration = Registration(
        None if calibration is None else load_calibration(path), path=path, refine=refine
    )
    gain = GainControl(
        agc, span_kelvin=span_kelvin, kelvin_per_count=kelvin_per_count, kelvin_offset=kelvin_offset
    )
    policy = RangePolicy.parse(output_range)
    with ExitStack() as opened:
        moments = opened.enter_context(
            open_moments(
                str(ir),
                str(visible),
                max_skew_ms=max_skew_ms,
                clock_offset_ms=clock_offset_ms,
                max_age_ms=max_age_ms,
                realtime=realtime,
                loop=loop,
                infrared_size=ir_size,
                infrared_rate_hz=ir_rate_hz,
                visible_rate_hz=visible_rate_hz,
                rtsp_transport=rtsp_transport,
            )
        )
        fuser = opened.enter_context(
            Fuser(
                Task.ivif,
                model=model,
                weights=weights,
                backend=backend,
                device=device,
                engines=engines,
                trust=trust,
                url=url,
                threads=threads,
            )
        )
        sinks: list[Sink] = []
        if out is not None:
            sinks.append(
                open_sink(
                    Path(out),
                    settings or ViewSettings(View.fused),
                    rate_hz=moments.rate_hz,
                    clock=fuser.clock,
                    force=force,
                )
            )
        stream = FusionStream(
            moments,
            fuser,
            MomentFuser(fuser, registration, gain, policy),
            registration,
            recorder=Recorder(
                Path(recordings), rate_hz=moments.rate_hz, clock=fuser.clock, waits=not moments.is_live
            ),
            sinks=sinks,
            max_frames=max_frames,
        )
        opened.pop_all()
        return stream
