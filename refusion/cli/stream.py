"""`refusion stream`: two cameras or files, fused while they run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from refusion.cli.options import (
    BackendOption,
    DeviceOption,
    EnginesOption,
    ForceOption,
    InfraredOption,
    InfraredRateOption,
    ModelOption,
    ThreadsOption,
    TritonUrlOption,
    TrustOption,
    VisibleOption,
    VisibleRateOption,
)


def stream(
    ir: InfraredOption,
    visible: VisibleOption,
    out: Annotated[
        Optional[Path],  # noqa: UP045  (typer reads annotations at run time, on Python 3.10 too)
        typer.Option("--out", "-o", help="Write the picture: NAME.mp4, or a folder (PNG files)."),
    ] = None,
    serve: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="HOST:PORT", help="Show it in the browser, for instance at 127.0.0.1:8080."),
    ] = None,
    token: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            envvar="REFUSION_TOKEN",
            help="What viewers must know; needed unless HOST is loopback.",
        ),
    ] = None,
    window: Annotated[bool, typer.Option("--window", help="Show it in a window; q closes it.")] = False,
    view: Annotated[str, typer.Option(help="fused, ir, visible, side, blend or edges.")] = "fused",
    palette: Annotated[
        str, typer.Option(help="Colours of infrared where it is shown: white-hot, ironbow, ...")
    ] = "white-hot",
    calibration: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="How infrared lies on visible: a file of refusion calibrate."),
    ] = None,
    refine: Annotated[bool, typer.Option("--refine", help="Follow slow changes of the alignment.")] = False,
    max_skew_ms: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(min=0, help="Most difference of a pair's capture times; by default by the rates."),
    ] = None,
    clock_offset_ms: Annotated[float, typer.Option(help="Added to infrared's capture times.")] = 0.0,
    max_age_ms: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(min=0, help="Age from which a live frame is not fused any more."),
    ] = None,
    realtime: Annotated[
        bool, typer.Option("--realtime", help="Play files as cameras would: at their rate, dropping frames.")
    ] = False,
    loop: Annotated[bool, typer.Option("--loop", help="Begin files again at their end.")] = False,
    ir_rate_hz: InfraredRateOption = None,
    visible_rate_hz: VisibleRateOption = None,
    ir_size: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="WIDTHxHEIGHT", help="Size of infrared frames that come flattened (Y16)."),
    ] = None,
    rtsp_transport: Annotated[str, typer.Option(help="tcp or udp.")] = "tcp",
    agc: Annotated[
        str, typer.Option(help="Gain control of 16-bit infrared: percentile, plateau or span.")
    ] = "percentile",
    span_kelvin: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            metavar="LOW:HIGH|WIDTH",
            help="With --agc span: temperatures of black and white, or how far apart they are.",
        ),
    ] = None,
    kelvin_per_count: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="With --agc span: temperature of one count (TLinear: 0.01 or 0.04)."),
    ] = None,
    kelvin_offset: Annotated[float, typer.Option(help="With --agc span: temperature of count 0.")] = 0.0,
    output_range: Annotated[
        str, typer.Option("--range", help="tracked (steady), image (stretch each frame) or off.")
    ] = "tracked",
    max_frames: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=1, help="End after so many frames."),
    ] = None,
    duration_s: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(min=0, help="End after so many seconds."),
    ] = None,
    report: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Write figures as JSON: frames, drops, skew, stages, latency."),
    ] = None,
    recordings: Annotated[
        Path, typer.Option(help="Folder of recordings and snapshots that viewers ask for.")
    ] = Path("recordings"),
    model: ModelOption = None,
    weights: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Weights instead of the shipped ones; see refusion fuse."),
    ] = None,
    backend: BackendOption = "auto",
    triton_url: TritonUrlOption = None,
    device: DeviceOption = "auto",
    engines: EnginesOption = None,
    trust: TrustOption = False,
    threads: ThreadsOption = 0,
    force: ForceOption = False,
) -> None:
    """Fuse two cameras or files while they run.

    Live sources are paired in time, and only the newest pair is fused; a camera that is lost is tried again
    while the other one is shown alone. Of files nothing is dropped. Ctrl-C ends it, and finishes the files.
    """
    from refusion.cli.stream_options import address_of, size_of, span_of
    from refusion.cli.stream_run import run_stream, serving
    from refusion.errors import UsageError
    from refusion.files import refuse_source, refuse_unwritable
    from refusion.stream.opening import open_stream
    from refusion.stream.rendering import View, ViewSettings
    from refusion.thermal import Palette

    settings = ViewSettings(View.parse(view), Palette.parse(palette))
    address = None if serve is None else address_of(serve)
    if report is not None:
        refuse_source(report, ir, visible, *filter(None, [calibration]))
        refuse_unwritable(report, force=force)
        if out is not None and out.resolve() == report.resolve():
            raise UsageError(f"--out and --report both name {out}; give each a file of its own")
    if out is None and address is None and not window and report is None:
        raise UsageError("nothing would be done with the picture: give --out, --serve, --window or --report")
    with (
        open_stream(
            ir=ir,
            visible=visible,
            calibration=calibration,
            refine=refine,
            max_skew_ms=max_skew_ms,
            clock_offset_ms=clock_offset_ms,
            max_age_ms=max_age_ms,
            realtime=realtime,
            loop=loop,
            ir_rate_hz=ir_rate_hz,
            visible_rate_hz=visible_rate_hz,
            ir_size=None if ir_size is None else size_of(ir_size),
            rtsp_transport=rtsp_transport,
            agc=agc,
            span_kelvin=None if span_kelvin is None else span_of(span_kelvin),
            kelvin_per_count=kelvin_per_count,
            kelvin_offset=kelvin_offset,
            output_range=output_range,
            out=out,
            settings=settings,
            recordings=recordings,
            force=force,
            max_frames=max_frames,
            model=model,
            weights=weights,
            backend=backend,
            device=device,
            engines=engines,
            trust=trust,
            url=triton_url,
            threads=threads,
        ) as running,
        serving(running, address, token) as url,
    ):
        run_stream(
            running,
            url=url,
            window=settings if window else None,
            duration_s=duration_s,
            report=report,
            out=out,
            force=force,
        )
