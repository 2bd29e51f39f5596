"""`refusion batch`: archives of pairs, on several workers, resumable."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from refusion.cli.options import DeviceOption, ForceOption, ModelOption, TaskOption

if TYPE_CHECKING:
    from refusion.batch.job import Job
    from refusion.batch.pairs import Found
    from refusion.batch.run import Runner

MOST_ERRORS_SHOWN = 20


def batch(
    output: Annotated[str, typer.Option("--output", "-o", metavar="URI", help="Folder of the results, PNG.")],
    a: Annotated[
        Optional[str],  # noqa: UP045  (typer reads annotations at run time, on Python 3.10 too)
        typer.Option("--a", metavar="URI", help="Folder of sources a: a path, or a URL that fsspec knows."),
    ] = None,
    b: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--b", metavar="URI", help="Folder of sources b, matched by name without suffix."),
    ] = None,
    pairs: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="URI", help="Instead of folders: a CSV file with columns a, b and maybe name."),
    ] = None,
    task: TaskOption = "ivif",
    model: ModelOption = None,
    weights: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Weights instead of the shipped ones; on a cluster, where all machines see them."),
    ] = None,
    backend: Annotated[
        str, typer.Option(help="auto, native, native-bf16, onnxruntime, tensorrt or torch.")
    ] = "auto",
    device: DeviceOption = "auto",
    output_range: Annotated[
        str, typer.Option("--range", help="image (stretch each to its own minimum and maximum) or off.")
    ] = "image",
    workers: Annotated[
        int, typer.Option(min=0, help="0: one for each GPU, without any one for each --threads cores.")
    ] = 0,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of each worker's network.")] = 1,
    tries: Annotated[int, typer.Option(min=1, help="Of a pair, where a store or a worker fails.")] = 3,
    ray: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            metavar="ADDRESS",
            help="Fuse on this Ray cluster; auto: the one that this machine is part of; local: one started "
            "here. Default: processes of this machine.",
        ),
    ] = None,
    force: ForceOption = False,
) -> None:
    """Fuse all pairs of two folders, or of a list, and go on where an earlier run ended.

    Results are OUTPUT/NAME.png, NAME with the folders below A. A second run does only what is missing or
    failed; refusion-failures.csv in the output folder lists what failed, and why.
    """
    from refusion.batch.job import Job
    from refusion.batch.run import run
    from refusion.cli.messages import print_error
    from refusion.cli.progress import progress_bar
    from refusion.errors import UsageError

    if backend == "triton":
        raise UsageError("batch runs the network in its own workers: leave out --backend triton")
    found, folders = _found(a, b, pairs)
    job = Job(
        output, folders, task, model, weights, backend, device, output_range, threads=threads, tries=tries
    )
    start_s = time.perf_counter()
    with progress_bar() as bar:
        line = bar.add_task("fusing")
        report = run(
            found.pairs,
            job,
            _runner(job, workers, ray),
            force=force,
            started=lambda count: bar.update(line, total=count),
            done=lambda _: bar.advance(line),
        )
    seconds = time.perf_counter() - start_s
    print(
        f"fused {report.fused} pairs in {seconds:.1f} s ({report.fused / seconds:.2f}/s) to {output}; "
        f"{report.before} were there already, {len(report.failures)} failed"
    )
    errors = [f"{path} has no partner of the same name" for path in found.unmatched]
    errors += [f"{one.pair.name}: {one.error}" for one in report.failures]
    for text in errors[:MOST_ERRORS_SHOWN]:
        print_error(text)
    if len(errors) > MOST_ERRORS_SHOWN:
        print_error(f"and {len(errors) - MOST_ERRORS_SHOWN} more")
    if errors:
        raise typer.Exit(1)


def _found(a: str | None, b: str | None, pairs: str | None) -> tuple[Found, tuple[str, str] | None]:
    from refusion.batch.folder import Folder
    from refusion.batch.pairs import Found, pairs_of_folders, pairs_of_list
    from refusion.errors import UsageError

    if pairs is not None and a is None and b is None:
        return Found(pairs_of_list(pairs), ()), None
    if pairs is not None or a is None or b is None:
        raise UsageError("give the folders --a and --b, or a list with --pairs")
    return pairs_of_folders(Folder(a), Folder(b)), (a, b)


def _runner(job: Job, workers: int, ray: str | None) -> Runner:
    if ray is not None:
        from refusion.batch.ray_cluster import run_on_ray

        return lambda pairs: run_on_ray(pairs, job, workers=workers, address=ray)
    from refusion.batch.local import run_locally
    from refusion.gpus import find_gpus
    from refusion.machine import processors

    gpus = () if job.device == "cpu" else range(len(find_gpus().gpus))
    count = workers or len(gpus) or max(1, processors() // job.threads)
    return lambda pairs: run_locally(pairs, job, workers=min(count, len(pairs)), gpus=gpus)
