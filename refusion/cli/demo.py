"""`refusion demo`: the whole path on a generated scene, with what each stage costs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from refusion.cli.options import ForceOption, ModelOption, ThreadsOption

if TYPE_CHECKING:
    from refusion.frames import Frame
    from refusion.fuser import Fuser
    from refusion.stream.synthetic import SyntheticScene

SHEET_ROWS = 3


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write to.")] = Path("demo"),
    frames: Annotated[int, typer.Option(min=SHEET_ROWS, help="Frames to fuse.")] = 25,
    width: Annotated[int, typer.Option(min=16, help="Width, pixels.")] = 640,
    height: Annotated[int, typer.Option(min=16, help="Height, pixels.")] = 480,
    seed: Annotated[int, typer.Option(min=0, help="Which scene.")] = 0,
    model: ModelOption = None,
    weights: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Weights instead of the shipped ones."),
    ] = None,
    threads: ThreadsOption = 0,
    force: ForceOption = False,
) -> None:
    """Render two camera videos of a night street, fuse them, and show the result on a contact sheet.

    Writes infrared.mp4, visible.mp4, fused.mp4 and contact_sheet.png.
    """
    import time

    from refusion.files import make_folder, refuse_existing, write_image
    from refusion.fuser import Fuser
    from refusion.stream.synthetic import SyntheticScene
    from refusion.stream.views import contact_sheet

    infrared, visible, fused, sheet = (
        output / name for name in ("infrared.mp4", "visible.mp4", "fused.mp4", "contact_sheet.png")
    )
    for path in (infrared, visible, fused, sheet):
        refuse_existing(path, force=force)
    with Fuser("ivif", model=model, weights=weights, threads=threads) as fuser:
        make_folder(output)
        scene = SyntheticScene(width_px=width, height_px=height, seed=seed)
        _render(scene, frames, infrared, visible, force=force)
        started = time.perf_counter()
        rows = _fuse(fuser, frames, infrared, visible, fused, force=force)
        seconds = time.perf_counter() - started
        print(f"{fuser.description}; {width}x{height}, {frames} frames")
        stages = fuser.clock.median_ms()
    # The stages overlap: what a frame takes in all is not their sum.
    for stage, milliseconds in {**stages, "in all": 1e3 * seconds / frames}.items():
        print(f"  {stage:<8} {milliseconds:9.2f} ms  {1e3 / milliseconds:9.1f} frames/s")
    write_image(sheet, contact_sheet(rows, ("infrared", "visible", "fused")), force=force)
    print(f"wrote {fused} and {sheet}")


def _render(scene: SyntheticScene, frames: int, infrared: Path, visible: Path, *, force: bool) -> None:
    from fractions import Fraction

    from refusion.cli.progress import progress_bar
    from refusion.stream.video_writer import VideoWriter

    rate, size = Fraction(scene.rate_hz), (scene.width_px, scene.height_px)
    with (
        progress_bar() as bar,
        VideoWriter(infrared, rate=rate, size=size, force=force) as writer_a,
        VideoWriter(visible, rate=rate, size=size, force=force) as writer_b,
    ):
        for pair in bar.track(scene.frames(frames), total=frames, description="rendering"):
            writer_a.write(pair.a)
            writer_b.write(pair.b)


def _fuse(
    fuser: Fuser, frames: int, infrared: Path, visible: Path, fused: Path, *, force: bool
) -> list[tuple[Frame, Frame, Frame]]:
    """Fuse the videos; return (infrared, visible, fused) of the frames for the contact sheet."""
    from refusion.cli.progress import progress_bar
    from refusion.stream.background_writer import BackgroundWriter
    from refusion.stream.pairs import VideoPairs, fused_pairs
    from refusion.stream.video_writer import VideoWriter

    chosen = {frames * (2 * row + 1) // (2 * SHEET_ROWS) for row in range(SHEET_ROWS)}
    rows = []
    with (
        progress_bar() as bar,
        VideoPairs(infrared, visible, clock=fuser.clock) as source,
        VideoWriter(fused, rate=source.rate, size=source.size, force=force) as writer,
        BackgroundWriter(writer, clock=fuser.clock) as encoder,
    ):
        results = fused_pairs(source, fuser.stream(chroma=source.chroma))
        for number, (pair, result) in enumerate(bar.track(results, total=frames, description="fusing")):
            encoder.write(result)
            if number in chosen:
                rows.append((pair.a, pair.b, result))
    return rows
