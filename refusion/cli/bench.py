"""`refusion bench`: how long fusing takes here, and what has become of it since."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from refusion.cli.bench_quality import quality
from refusion.cli.options import ForceOption, JsonOption, TaskOption, ThreadsOption

if TYPE_CHECKING:
    from refusion.benchmarks.latency.run import LatencyRequest


def bench_application() -> typer.Typer:
    """Return the `bench` group of commands."""
    app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

    @app.callback(help="Benchmarks that others can rerun.")
    def bench() -> None:
        """A group even while it has one command."""

    app.command()(latency)
    app.command()(quality)
    return app


def latency(
    task: TaskOption = "ivif",
    model: Annotated[
        Optional[list[str]],  # noqa: UP045  (typer reads annotations at run time, on Python 3.10 too)
        typer.Option(metavar="full|lite", help="Give it once for each; default: both."),
    ] = None,
    backend: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            metavar="NAME",
            help="native, native-bf16, onnxruntime, torch or tensorrt, once for each; default: all.",
        ),
    ] = None,
    device: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            metavar="cpu|cuda", help="Once for each; default: the CPU, and the GPU where there is one."
        ),
    ] = None,
    precision: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(metavar="fp32|fp16|bf16", help="Once for each; default: all that a backend has."),
    ] = None,
    weights: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Weights, or a TensorRT engine, instead of the shipped ones, of the one --model."),
    ] = None,
    size: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(metavar="WxH", help="Once for each; default: 640x480."),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, max=1024, help="Pairs in one run of the network.")] = 1,
    threads: ThreadsOption = 0,
    baselines: Annotated[
        bool,
        typer.Option(
            help="Also run the official network in PyTorch, under torch.compile and exported to ONNX."
        ),
    ] = True,
    end_to_end: Annotated[
        bool,
        typer.Option(
            "--end-to-end",
            help="Also fuse two rendered videos into one, 640x480 and 1280x720, overlapped and one by one.",
        ),
    ] = False,
    videos: Annotated[
        Optional[tuple[Path, Path]],  # noqa: UP045
        typer.Option(metavar="A B", help="Also fuse these two videos into one."),
    ] = None,
    scaling: Annotated[
        bool, typer.Option("--scaling", help="Also measure QVGA to 4K, batches and threads, with memory.")
    ] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer calls, for a first look.")] = False,
    json_file: JsonOption = None,
    force: ForceOption = False,
    compare: Annotated[
        Optional[tuple[Path, Path]],  # noqa: UP045
        typer.Option(metavar="BEFORE AFTER", help="Compare two reports of --json, and measure nothing."),
    ] = None,
) -> None:
    """Measure the network alone, a pair to a picture, and (if asked) videos and scaling.

    Everything runs in turns in one process; memory is measured in processes of their own, power with each
    network running alone where something tells it (NVML, tegrastats, RAPL). TensorRT runs the engines that
    `refusion export` built. Run it on a quiet machine: the report states the load.
    """
    if compare is not None:
        from refusion.benchmarks.latency import FORMAT
        from refusion.benchmarks.latency.comparison import compare as compared
        from refusion.benchmarks.reports import read_report

        print(compared(*(read_report(path, of=FORMAT) for path in compare)))
        return
    from refusion.benchmarks.latency.run import run
    from refusion.benchmarks.reports import write_report
    from refusion.files import refuse_unwritable

    if json_file is not None:
        refuse_unwritable(json_file, force=force)
    request = _request(
        task=task,
        models=model,
        backends=backend,
        devices=device,
        precisions=precision,
        weights=weights,
        sizes=size,
        batch=batch,
        threads=threads,
        with_baselines=baselines,
        with_streams=end_to_end or videos is not None,
        videos=videos,
        with_scaling=scaling,
        quick=quick,
    )
    report = run(request, lambda line: print(f"... {line}", file=sys.stderr, flush=True))
    if json_file is not None:
        # First: whoever reads the tables may close the pipe early.
        write_report(json_file, report, force=force)
    _print(report)
    if json_file is not None:
        print(f"wrote {json_file}")


def _request(
    *,
    task: str,
    models: list[str] | None,
    backends: list[str] | None,
    devices: list[str] | None,
    precisions: list[str] | None,
    weights: Path | None,
    sizes: list[str] | None,
    batch: int,
    threads: int,
    with_baselines: bool,
    with_streams: bool,
    videos: tuple[Path, Path] | None,
    with_scaling: bool,
    quick: bool,
) -> LatencyRequest:
    from refusion.backends import BACKENDS
    from refusion.benchmarks.latency.precisions import Precision
    from refusion.benchmarks.latency.run import QUICK, Effort, LatencyRequest
    from refusion.errors import UsageError
    from refusion.files import require_file
    from refusion.models import Model
    from refusion.tasks import Task

    chosen = tuple(map(Model.parse, models)) if models else tuple(Model)
    if weights is not None:
        if not models or len(chosen) != 1:
            raise UsageError("--weights are those of one model: name it with --model")
        require_file(weights, "weights file")
        if not any(weights.suffix in facts.suffixes for facts in BACKENDS.values()):
            raise UsageError(f"no backend reads {weights}: its name ends in none of the known suffixes")
    return LatencyRequest(
        task=Task.parse(task),
        models=chosen,
        backends=tuple(backends) if backends else None,
        devices=tuple(map(_device, devices)) if devices else None,
        precisions=tuple(map(Precision.parse, precisions)) if precisions else tuple(Precision),
        weights=weights,
        sizes=tuple(map(_size, sizes or ["640x480"])),
        batch=batch,
        threads=threads,
        with_baselines=with_baselines,
        with_streams=with_streams,
        videos=videos,
        with_scaling=with_scaling,
        effort=QUICK if quick else Effort(),
    )


def _device(name: str) -> str:
    from refusion.benchmarks.latency.contenders import DEVICES
    from refusion.errors import UsageError

    if name not in DEVICES:
        raise UsageError(f"there is no device '{name}'; choose one of {', '.join(DEVICES)}")
    return name


def _size(text: str) -> tuple[int, int]:
    import re

    from refusion.errors import UsageError
    from refusion.stream.synthetic import SyntheticScene

    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if match is None:
        raise UsageError(f"a size is WIDTHxHEIGHT in pixels, as in 640x480, not '{text}'")
    width, height = int(match[1]), int(match[2])
    SyntheticScene.check_size(width, height)  # whose pictures are fused
    return width, height


def _print(report: dict[str, Any]) -> None:
    from refusion.benchmarks.latency import tables

    parts = ["\n".join(tables.facts_lines(report)), tables.network_table(report), tables.frames_table(report)]
    if "streams" in report:
        parts += [tables.streams_table(report), tables.one_at_a_time_table(report)]
    parts += [tables.stages_table(report), "\n".join(tables.sums_lines(report))]
    if report["sensors"]["found"]:
        parts.append(tables.power_table(report))
    if report.get("scaling"):
        parts += [tables.scaling_table(report, by=by) for by in ("size", "batch", "threads")]
    parts.append("\n".join(f"left out: {line}" for line in tables.skipped_lines(report)))
    print("\n\n".join(filter(None, parts)))
