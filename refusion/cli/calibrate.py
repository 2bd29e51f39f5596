"""`refusion calibrate`: how infrared maps onto visible, estimated and written to a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from refusion.cli.options import (
    ForceOption,
    InfraredOption,
    InfraredRateOption,
    VisibleOption,
    VisibleRateOption,
)

if TYPE_CHECKING:
    from refusion.alignment import Calibration
    from refusion.alignment.collecting import Pair
    from refusion.frames import Frame


def calibrate(
    ir: InfraredOption,
    visible: VisibleOption,
    output: Annotated[Path, typer.Option("--output", "-o", help="Calibration file.")] = Path(
        "calibration.yaml"
    ),
    method: Annotated[
        str,
        typer.Option(
            help="scene (edges both see), board (see --board), points (see --points), or full_view: no "
            "estimate, both see the same."
        ),
    ] = "scene",
    board: Annotated[
        Optional[str],  # noqa: UP045  (typer reads annotations at run time, on Python 3.10 too)
        typer.Option(metavar="9x6", help="Inner corners of a chessboard, or circles:4x11, asymmetrical."),
    ] = None,
    square_mm: Annotated[float, typer.Option(min=0.1, help="Side of the board's squares.")] = 25.0,
    lenses: Annotated[
        bool,
        typer.Option("--lenses/--no-lenses", help="Let a board seen in 8 views or more bend the lenses."),
    ] = True,
    points: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="FILE", help="A line each: infrared x, y, visible x, y; pixels."),
    ] = None,
    frames: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=1, help="Most pairs of frames; default: 6 for scene, 20 for board."),
    ] = None,
    interval_s: Annotated[float, typer.Option(min=0, help="Time between frames taken of cameras.")] = 1.0,
    ir_rate_hz: InfraredRateOption = None,
    visible_rate_hz: VisibleRateOption = None,
    crop: Annotated[
        bool, typer.Option("--crop/--no-crop", help="Show only the part of visible that infrared covers.")
    ] = True,
    baseline_m: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            metavar="X[,Y]", help="Where infrared stands beside visible: to the right, down; metres."
        ),
    ] = None,
    focal_px: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(min=1, help="Focal length of the visible camera, pixels; needed with --baseline-m."),
    ] = None,
    reference_distance_m: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(
            "--reference-distance", min=0.01, help="Distance of what was calibrated with; default: far."
        ),
    ] = None,
    distance_m: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option("--distance", min=0.01, help="Distance at which the pictures shall coincide, metres."),
    ] = None,
    preview: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="FILE.png", help="Write the edges of infrared on visible, to be looked at."),
    ] = None,
    force: ForceOption = False,
) -> None:
    """Estimate how infrared maps onto visible, and write it to a file for `refusion stream --calibration`.

    Each SRC may be a single image, too. The scene itself will do where it has edges that both cameras see;
    what cannot be trusted is refused. For cameras far apart from each other, calibrate at the distance that
    matters, or give --baseline-m, --focal-px and --reference-distance: --distance then moves the plane in
    which the pictures coincide.
    """
    from refusion.alignment import coverage, with_common_view
    from refusion.alignment.collecting import collect_pairs
    from refusion.files import refuse_source, refuse_unwritable, write_image

    for path in (output, preview):
        if path is not None:
            refuse_source(path, ir, visible, *filter(None, [points]))
            refuse_unwritable(path, force=force)
    parallax = _parallax(baseline_m, focal_px)
    _check_method(method, board, points)
    count = frames or {"scene": 6, "board": 20}.get(method, 1)
    pairs = collect_pairs(
        ir,
        visible,
        count,
        interval_s=interval_s,
        infrared_rate_hz=ir_rate_hz,
        visible_rate_hz=visible_rate_hz,
    )
    calibration = _estimated(method, pairs, board, square_mm, lenses, points)
    calibration = _at_distance(calibration, parallax, reference_distance_m, distance_m)
    if crop:
        calibration = with_common_view(calibration)
    calibration.save(output, force=force)
    if preview is not None:
        write_image(preview, _edges(calibration, pairs[-1]), force=force)
    width, height = calibration.output_size
    print(
        f"method: {calibration.method.value}, {len(pairs)} {'pair' if len(pairs) == 1 else 'pairs'} of frames"
    )
    if calibration.residual_px is not None:
        print(f"residual: {calibration.residual_px:.2f} pixels of the visible picture")
    print(f"view: {width}x{height}, of which infrared covers {100 * coverage(calibration):.0f} %")
    print(f"wrote {output}" + ("" if preview is None else f" and {preview}"))


def _check_method(method: str, board: str | None, points: Path | None) -> None:
    from refusion.alignment import CalibrationMethod
    from refusion.errors import UsageError

    known = [member.value for member in CalibrationMethod]
    if method not in known:
        raise UsageError(f"--method must be one of {', '.join(known)}, not '{method}'")
    for name, value, option in (("board", board, "--board 9x6"), ("points", points, "--points FILE")):
        if (method == name) != (value is not None):
            raise UsageError(f"--method {name} and {option} belong together")


def _parallax(baseline_m: str | None, focal_px: float | None) -> tuple[float, float] | None:
    from refusion.errors import UsageError

    if baseline_m is None and focal_px is None:
        return None
    if baseline_m is None or focal_px is None:
        raise UsageError(
            "--baseline-m and --focal-px belong together: parallax is their product over distance"
        )
    try:
        x, y = (float(part) for part in [*baseline_m.split(","), "0"][:2])
    except ValueError:
        raise UsageError(
            f"--baseline-m wants X or X,Y in metres, as in 0.05 or 0,-0.03, not '{baseline_m}'"
        ) from None
    return x * focal_px, y * focal_px


def _estimated(
    method: str, pairs: list[Pair], board: str | None, square_mm: float, lenses: bool, points: Path | None
) -> Calibration:
    from refusion.alignment import (
        Board,
        Calibration,
        calibrate_from_board,
        calibrate_from_points,
        calibrate_from_scene,
        load_points,
    )

    infrared, visible = pairs[0]
    sizes = (infrared.shape[1], infrared.shape[0]), (visible.shape[1], visible.shape[0])
    if board is not None:
        return calibrate_from_board(pairs, Board.parse(board, square_mm=square_mm), estimate_lenses=lenses)
    if points is not None:
        return calibrate_from_points(*load_points(points), *sizes)
    return calibrate_from_scene(pairs) if method == "scene" else Calibration.full_view(*sizes)


def _at_distance(
    calibration: Calibration,
    parallax: tuple[float, float] | None,
    reference_distance_m: float | None,
    distance_m: float | None,
) -> Calibration:
    from dataclasses import replace

    if parallax is not None:
        calibration = replace(calibration, parallax_px_m=parallax)
    if reference_distance_m is not None:
        calibration = replace(calibration, reference_distance_m=reference_distance_m)
    return calibration if distance_m is None else calibration.adjusted(distance_m=distance_m)


def _edges(calibration: Calibration, pair: Pair) -> Frame:
    from refusion.stream.moments import SourceState
    from refusion.stream.monitoring import StreamFrame
    from refusion.stream.rendering import View, ViewSettings, render

    infrared, visible = pair
    shown = calibration.cropped(visible)
    live = SourceState.live
    frame = StreamFrame(0, 0, shown, infrared, shown, calibration.warp(), 0, (live, live))
    return render(frame, ViewSettings(View.edges))
