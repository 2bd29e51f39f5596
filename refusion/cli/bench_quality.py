"""`refusion bench quality`: how good the pictures are, beside those of others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from refusion.cli.options import ForceOption, JsonOption, ThreadsOption

if TYPE_CHECKING:
    from refusion.benchmarks.quality.run import QualityRun, Skipped
    from refusion.benchmarks.quality.sets import EvaluationSet


def quality(
    data: Annotated[
        Optional[Path],  # noqa: UP045  (typer reads annotations at run time, on Python 3.10 too)
        typer.Option(help="Root folder of the data sets that have names; default: $REFUSION_DATA."),
    ] = None,
    sets: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            "--set",
            metavar="NAME",
            help="tno, roadscene, m3svd, ct_mri, pet_mri, spect_mri, mfifb or mefb, once for each; default: "
            "all that are there.",
        ),
    ] = None,
    a: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--a", help="Your own pairs instead: folder of sources a, or a video."),
    ] = None,
    b: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--b", help="Folder of sources b, matched by name, or a video."),
    ] = None,
    task: Annotated[
        str, typer.Option(metavar="TASK", help="Of your own pairs: ivif, mif, mfif or meif.")
    ] = "ivif",
    method: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            metavar="NAME",
            help="full, lite, average, maximum, laplacian, guided or visible, once for each; default: all.",
        ),
    ] = None,
    official: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            help="Also official weights: a .pth file, or the folder of ReFusion_IVIF.pth and so on."
        ),
    ] = None,
    weights: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(metavar="NAME=FILE", help="Also weights of your own, once for each."),
    ] = None,
    results: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            metavar="NAME=FOLDER",
            help="Also pictures that another method made, once for each: FOLDER/SET/PAIR.png, or "
            "FOLDER/PAIR.png of one set.",
        ),
    ] = None,
    backend: Annotated[str, typer.Option(metavar="NAME", help="What runs networks.")] = "auto",
    limit: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=1, help="Pairs of each set, frames of each clip, at most."),
    ] = None,
    threads: ThreadsOption = 0,
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--output", "-o", help="Folder for report.html, plots, sheets, pairs.csv, report.json."),
    ] = None,
    json_file: JsonOption = None,
    force: ForceOption = False,
) -> None:
    """Measure fused pictures against their sources, and how much clips flicker, for many methods at once."""
    from refusion.benchmarks.quality import asking
    from refusion.benchmarks.quality.report_file import as_json
    from refusion.benchmarks.quality.report_folder import PAGE, refuse_folder, write_folder
    from refusion.benchmarks.quality.run import QualityRequest, run
    from refusion.benchmarks.reports import write_report
    from refusion.cli.progress import progress_bar
    from refusion.files import refuse_unwritable

    if json_file is not None:
        refuse_unwritable(json_file, force=force)
    chosen, skipped = _sets(data, sets or [], a, b, task, limit)
    own = [asking.own_method(name, backend=backend, threads=threads) for name in method or asking.OWN_METHODS]
    others = [asking.others_results(text, chosen) for text in results or []]
    given = [asking.own_weights(text, chosen, backend=backend, threads=threads) for text in weights or []]
    if official is not None:
        given.append(asking.official_method(official, chosen, backend=backend, threads=threads))
    methods = asking.in_order([*own, *given, *others])
    if output is not None:
        refuse_folder(output, chosen, force=force)
    unasked = frozenset() if method else frozenset(one.name for one in own)
    request = QualityRequest(chosen, methods, unasked, threads=threads, limit=limit, skipped=skipped)
    with progress_bar() as bar:
        line = bar.add_task("loading", total=None)
        measured = run(
            request,
            lambda what, done, total: bar.update(line, description=what, completed=done, total=total),
        )
    # First: whoever reads the tables may close the pipe early.
    if output is not None:
        write_folder(output, measured, force=force)
    if json_file is not None:
        write_report(json_file, as_json(measured), force=force)
    _print(measured)
    for path in filter(None, (output and output / PAGE, json_file)):
        print(f"wrote {path}")


def _sets(
    root: Path | None, names: list[str], a: Path | None, b: Path | None, task: str, limit: int | None
) -> tuple[tuple[EvaluationSet, ...], tuple[Skipped, ...]]:
    from refusion.benchmarks.quality.asking import named_sets
    from refusion.benchmarks.quality.sets import data_root, own_set
    from refusion.errors import UsageError
    from refusion.tasks import Task

    if a is None and b is None:
        return named_sets(names, data_root(root), limit)
    if a is None or b is None:
        raise UsageError("pairs of your own have two sides: give both --a and --b")
    if names or root is not None:
        raise UsageError("choose data sets by name (--set, --data) or pairs of your own (--a, --b), not both")
    return (own_set(a, b, Task.parse(task), limit),), ()


def _print(measured: QualityRun) -> None:
    from refusion.benchmarks.quality import tables
    from refusion.benchmarks.quality.report_file import as_json

    report = as_json(measured)
    parts = [tables.quality_table(report), tables.video_table(report)]
    parts += tables.check_lines(report)
    parts += [f"left out: {line}" for line in tables.skipped_lines(report)]
    print("\n\n".join(part for part in parts if part))
