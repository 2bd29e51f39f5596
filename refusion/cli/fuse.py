"""`refusion fuse`: two images, two folders or two videos."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from refusion.cli.options import (
    BackendOption,
    DeviceOption,
    EnginesOption,
    ForceOption,
    ModelOption,
    TaskOption,
    ThreadsOption,
    TritonUrlOption,
    TrustOption,
)

if TYPE_CHECKING:
    from refusion.fuser import Fuser
    from refusion.ranges import RangePolicy
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
    model: ModelOption = None,
    weights: Annotated[
        Optional[Path],  # noqa: UP045  (typer reads annotations at run time, on Python 3.10 too)
        typer.Option(
            help="Weights instead of the shipped ones: .onnx, .safetensors, .pt of a run, official .pth, or "
            "a TensorRT engine (.plan)."
        ),
    ] = None,
    backend: BackendOption = "auto",
    triton_url: TritonUrlOption = None,
    device: DeviceOption = "auto",
    engines: EnginesOption = None,
    trust: TrustOption = False,
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
    from refusion.errors import UsageError
    from refusion.files import refuse_source, refuse_unwritable
    from refusion.fuser import Fuser
    from refusion.ranges import RangePolicy
    from refusion.stream.pairs import open_pairs

    if not a or not b:
        # As a path, an empty name is the current folder: an unset variable of a script would fuse that.
        raise UsageError("A and B must not be empty")
    kind = _common_kind(a, b)
    is_video = kind == "a video"
    default_policy = "tracked" if is_video else "image"
    policy = RangePolicy.parse(default_policy if output_range == "auto" else output_range)
    if policy is RangePolicy.tracked and not is_video:
        raise UsageError("--range tracked follows the frames of a video; for images choose image or off")
    refuse_source(output, a, b)
    if kind != "a folder":
        refuse_unwritable(output, force=force)

    def load() -> Fuser:
        return Fuser(
            task,
            model=model,
            weights=weights,
            backend=backend,
            device=device,
            engines=engines,
            trust=trust,
            url=triton_url,
            output_range=RangePolicy.image if is_video else policy,
            threads=threads,
        )

    if kind == "a folder":
        with load() as fuser:
            _fuse_folders(fuser, Path(a), Path(b), output, force)
    elif is_video:
        with open_pairs(a, b) as source, load() as fuser:
            _fuse_video(fuser, source, output, policy, force)
    else:
        with load() as fuser:
            _fuse_images(fuser, Path(a), Path(b), output, force)


def _common_kind(a: str, b: str) -> str:
    from refusion.errors import UsageError

    kind_a, kind_b = _kind(a), _kind(b)
    if kind_a != kind_b:
        raise UsageError(f"A and B must be of one kind: {a} is {kind_a}, {b} is {kind_b}")
    return kind_a


def _kind(source: str) -> str:
    from refusion.errors import InputError
    from refusion.files import IMAGE_SUFFIXES
    from refusion.stream.pairs import SYNTHETIC

    if source.startswith(SYNTHETIC):
        return "a video"
    path = Path(source)
    if not path.exists():
        raise InputError(f"there is no file or folder {source}")
    if path.is_dir():
        return "a folder"
    return "an image" if path.suffix.lower() in IMAGE_SUFFIXES else "a video"


def _fuse_images(fuser: Fuser, a: Path, b: Path, output: Path, force: bool) -> None:
    from refusion.files import read_image, write_image

    write_image(output, fuser(read_image(a), read_image(b)), force=force)
    print(f"wrote {output}")


def _fuse_folders(fuser: Fuser, a: Path, b: Path, output: Path, force: bool) -> None:
    from refusion.cli.messages import print_error
    from refusion.cli.progress import progress_bar
    from refusion.errors import InputError, OutputError
    from refusion.files import make_folder, match_by_stem

    matches = match_by_stem(a, b)
    targets = [output / f"{stem}.png" for stem, _, _ in matches.pairs]
    there = [target for target in targets if target.exists()]
    if there and not force:
        raise OutputError(
            f"{len(there)} outputs are there already, {there[0]} first; give --force to replace them"
        )
    make_folder(output)

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
        print_error(line)
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


def _fuse_video(fuser: Fuser, source: PairSource, output: Path, policy: RangePolicy, force: bool) -> None:
    from refusion.cli.progress import progress_bar
    from refusion.stream.background_writer import BackgroundWriter
    from refusion.stream.pairs import fused_pairs
    from refusion.stream.video_writer import VideoWriter

    frames = 0
    with (
        VideoWriter(output, rate=source.rate, size=source.size, force=force) as writer,
        BackgroundWriter(writer, clock=fuser.clock) as encoder,
        progress_bar() as bar,
    ):
        fused = fused_pairs(source, fuser.stream(chroma=source.chroma, output_range=policy))
        for pair, frame in bar.track(fused, total=source.frame_count, description="fusing"):
            encoder.write(frame, time_ns=pair.time_ns)
            frames += 1
    print(f"wrote {frames} frames to {output}")
