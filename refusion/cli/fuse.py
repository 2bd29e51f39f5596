"""`refusion fuse`: two images, two folders or two videos."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from refusion.cli.options import ForceOption, TaskOption, ThreadsOption

if TYPE_CHECKING:
    from refusion.fuser import Fuser
    from refusion.stream.pairs import PairSource


def fuse(
    a: Annotated[
        str, typer.Argument(metavar="A", help="Source a: an image, a folder, a video, or synthetic:")
    ],
    b: Annotated[str, typer.Argument(metavar="B", help="Source b, of the same kind.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="An image, a folder (gets STEM.png a pair) or a video.")
    ],
    task: TaskOption = "ivif",
    model: Annotated[str, typer.Option(help="full.")] = "full",
    weights: Annotated[
        Optional[Path],  # noqa: UP045  (typer reads annotations at run time, on Python 3.10 too)
        typer.Option(
            help="Weights instead of the shipped ones: .onnx, .safetensors, official ReFusion .pth."
        ),
    ] = None,
    backend: Annotated[str, typer.Option(help="auto, onnxruntime or torch.")] = "auto",
    output_range: Annotated[
        str,
        typer.Option(
            "--range",
            help="auto (image for stills, tracked for videos), image (stretch each to its own minimum and "
            "maximum), tracked (follow a video's range), off.",
        ),
    ] = "auto",
    threads: ThreadsOption = 0,
    force: ForceOption = False,
) -> None:
    """Fuse two registered sources.

    A and B are two images, two folders whose images are matched by name without suffix, two videos of as many
    frames, or twice the same synthetic: scene. For ivif, A is the infrared and B the visible source.
    """
    from refusion.fuser import Fuser
    from refusion.stream.pairs import open_pairs

    kinds = {_kind(a), _kind(b)}
    if len(kinds) != 1:
        from refusion.errors import UsageError

        raise UsageError(f"A and B must be of one kind: {a} is {_kind(a)}, {b} is {_kind(b)}")
    kind = kinds.pop()
    policy = {"auto": "tracked" if kind == "a video" else "image"}.get(output_range, output_range)

    def load() -> Fuser:
        return Fuser(
            task,
            model=model,
            weights=weights,
            backend=backend,
            output_range="image" if policy == "tracked" else policy,
            threads=threads,
        )

    if kind == "a folder":
        with load() as fuser:
            _fuse_folders(fuser, Path(a), Path(b), output, force)
    elif kind == "a video":
        with open_pairs(a, b) as source, load() as fuser:
            _fuse_video(fuser, source, output, policy, force)
    else:
        with load() as fuser:
            _fuse_images(fuser, Path(a), Path(b), output, force)


def _kind(source: str) -> str:
    from refusion.files import IMAGE_SUFFIXES

    path = Path(source)
    if source.startswith("synthetic:"):
        return "a video"
    if path.is_dir():
        return "a folder"
    return "an image" if path.suffix.lower() in IMAGE_SUFFIXES else "a video"


def _fuse_images(fuser: Fuser, a: Path, b: Path, output: Path, force: bool) -> None:
    from refusion.files import read_image, refuse_existing, write_image

    refuse_existing(output, force=force)
    write_image(output, fuser(read_image(a), read_image(b)), force=force)
    print(f"wrote {output}")


def _fuse_folders(fuser: Fuser, a: Path, b: Path, output: Path, force: bool) -> None:
    from refusion.cli.progress import progress_bar
    from refusion.errors import InputError, OutputError
    from refusion.files import match_by_stem

    matches = match_by_stem(a, b)
    targets = [output / f"{stem}.png" for stem, _, _ in matches.pairs]
    there = [target for target in targets if target.exists()]
    if there and not force:
        raise OutputError(
            f"{len(there)} outputs are there already, {there[0]} first; give --force to replace them"
        )
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{output} cannot be made: {error.strerror}") from None

    unmatched = [f"{path} has no partner of the same name" for path in matches.only_a + matches.only_b]
    failures: list[str] = []
    with progress_bar() as bar:
        for (_, path_a, path_b), target in bar.track(
            list(zip(matches.pairs, targets, strict=True)), description="fusing"
        ):
            try:
                _fuse_pair(fuser, path_a, path_b, target)
            except InputError as error:  # one bad pair must not cost the others
                failures.append(str(error))
    print(f"wrote {len(targets) - len(failures)} images to {output}")
    for line in unmatched + failures:
        print(f"error: {line}", file=sys.stderr)
    if unmatched or failures:
        raise typer.Exit(1)


def _fuse_pair(fuser: Fuser, path_a: Path, path_b: Path, target: Path) -> None:
    from refusion.errors import InputError
    from refusion.files import read_image, write_image

    a, b = read_image(path_a), read_image(path_b)
    try:
        fused = fuser(a, b)
    except InputError as error:
        raise InputError(f"{path_a} and {path_b}: {error}") from None
    write_image(target, fused, force=True)


def _fuse_video(fuser: Fuser, source: PairSource, output: Path, policy: str, force: bool) -> None:
    from refusion.cli.progress import progress_bar
    from refusion.stream.video_writer import VideoWriter

    frames = 0
    with (
        VideoWriter(output, rate=source.rate, size=source.size, force=force) as writer,
        progress_bar() as bar,
    ):
        fuse_frame = fuser.stream(chroma=source.chroma, output_range=policy)
        for pair in bar.track(source, total=source.frame_count, description="fusing"):
            writer.write(fuse_frame(pair.a, pair.b), time_ns=pair.time_ns)
            frames += 1
    print(f"wrote {frames} frames to {output}")
