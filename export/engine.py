"""ONNX to engine: built once per identity, verified, and put in place whole. Needs no torch and no onnx."""

from __future__ import annotations

import datetime as dt
import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

import refusion
from refusion.backends.tensorrt.identity import (
    EngineIdentity,
    EngineRecord,
    ShapeProfile,
    finite,
    this_platform,
)
from refusion.backends.tensorrt.library import Flavour, Library, load_library
from refusion.backends.tensorrt.sidecar import log_of
from refusion.errors import BackendError, UsageError
from refusion.export.build_progress import Progress
from refusion.export.builder import Compiler, interruptible_compile
from refusion.export.engine_folder import Report, Verify, alone_in, kept_engine, put_in_place, write_log
from refusion.export.onnx_source import OnnxSource, read_source
from refusion.export.timing_cache import TimingCache, timing_cache_path
from refusion.files import make_folder
from refusion.gpus import Gpu, find_gpus


@dataclass(frozen=True)
class EngineRequest:
    """What to build, and from what."""

    onnx: Path
    folder: Path
    """Where the engine goes; made if need be."""
    flavour: Flavour
    profile: ShapeProfile
    workspace_mib: int | None = None
    """Most scratch memory that the engine may use on the GPU; None: the library's own limit."""
    target: str | None = None
    """A compute capability, for instance "sm89", to build for without such a GPU; TensorRT-RTX only."""
    optimization_level: int | None = None
    """0 to 5: how long to search; None: the library's own level."""
    force: bool = False
    """Build even if this very engine is there already."""


@dataclass(frozen=True)
class BuiltEngine:
    """An engine on disk."""

    path: Path
    record: EngineRecord
    was_there: bool
    """Whether it had been built before, and was kept."""


def build_engine(
    request: EngineRequest,
    *,
    report: Report,
    progress: Progress = lambda fraction, phase: None,
    verify: Verify | None = None,
    library: Library | None = None,
    gpu: Gpu | None = None,
) -> BuiltEngine:
    """Build the engine that is asked for, unless it is there already.

    Beside the plan lie its record (NAME.plan.json) and everything that the library logged (NAME.plan.log),
    the latter after a failure and after Ctrl-C too. Processes that build into one folder take turns: on one
    GPU they would spoil each other's timings.

    Args:
        request: What to build.
        report: Takes lines for people.
        progress: Takes the share that is done (None: unknown) and the phase; called from the build.
        verify: Runs the finished plan, before it is in its place, and returns its accuracy against FP32, or
            raises a RefusionError, and then the plan is not kept.
        library: What to build with; None loads the request's flavour.
        gpu: The GPU to build on; None takes the first.

    Raises:
        UsageError: The request contradicts itself, the model or the library.
        InputError, WeightsError: The ONNX is missing, damaged, or not ours.
        BackendError: TensorRT is missing or fails, or there is no GPU.
        OutputError: The folder cannot be written to, or the disk is full; nothing is half-written.
        KeyboardInterrupt: Ctrl-C; only the log was written.
    """
    if request.target is not None and request.flavour is not Flavour.tensorrt_rtx:
        raise UsageError(
            f"{request.flavour.value.title} times its kernels on the GPU at hand and cannot build for "
            f"{request.target}: leave out --target, or give --format tensorrt-rtx"
        )
    library = library or load_library(request.flavour)
    source = read_source(request.onnx)
    source.check_library(library)
    source.check_profile(request.profile)
    if request.target is None:
        gpu = gpu or _first_gpu(library)
    else:
        gpu = None
        _check_target(library, request.target)
    identity = _identity(request, source, library, gpu)
    plan = request.folder / identity.file_name()
    make_folder(request.folder)
    with alone_in(request.folder, plan, report):
        if not request.force:
            kept = kept_engine(plan, identity, report)
            if kept is not None:
                report(f"{plan} is there already, and fits: kept")
                return BuiltEngine(plan, kept, was_there=True)
        compiler = Compiler(
            library=library,
            source=source,
            identity=identity,
            timing_cache=_timing_cache(library, gpu, report),
            report=report,
            progress=progress,
        )
        heading = f"refusion {refusion.__version__}, {library.description}\n{source.path}\n{identity}\n"
        started = time.perf_counter()
        try:
            data = interruptible_compile(compiler, lambda lines: write_log(plan, heading, lines, report))
        except BackendError as error:
            raise BackendError(f"{error}. The builder's whole log: {log_of(plan)}") from None
        record = EngineRecord(
            identity=identity,
            plan_sha256=hashlib.sha256(data).hexdigest(),
            plan_bytes=len(data),
            onnx_file=request.onnx.name,
            accuracy=finite(source.accuracy),
            verification={},
            refusion_version=refusion.__version__,
            built_at=dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
            build_seconds=round(time.perf_counter() - started, 3),
        )
        return BuiltEngine(plan, put_in_place(plan, data, record, verify, report), was_there=False)


def _first_gpu(library: Library) -> Gpu:
    found = find_gpus()
    if found.gpus:
        return found.gpus[0]
    if library.targets:
        raise BackendError(
            f"there is no GPU here to build for ({found.problem}): name one with --target, for instance "
            f"sm89 ({library.description} knows {', '.join(library.targets)})"
        )
    raise BackendError(
        f"{library.description} builds only on the GPU that will run the engine, and none was found "
        f"({found.problem}): export on that machine, or with --format tensorrt-rtx --target sm89 here"
    )


def _check_target(library: Library, target: str) -> None:
    if target not in library.targets:
        raise UsageError(
            f"{library.description} does not build for '{target}': it knows {', '.join(library.targets)}; "
            "on a machine with the GPU itself, leave out --target"
        )


def _identity(
    request: EngineRequest, source: OnnxSource, library: Library, gpu: Gpu | None
) -> EngineIdentity:
    is_timed = gpu is not None and library.flavour.value.is_tied_to_gpu_model
    return EngineIdentity(
        task=source.task,
        model=source.model,
        precision=source.precision,
        checkpoint_sha256=source.checkpoint_sha256,
        onnx_sha256=source.sha256,
        flavour=library.flavour,
        tensorrt_version=library.version,
        platform=this_platform(),
        gpu_name=gpu.name if gpu is not None and is_timed else "",
        compute_capability=gpu.sm if gpu is not None else str(request.target),
        profile=request.profile,
        workspace_mib=request.workspace_mib,
        optimization_level=request.optimization_level,
        # FP32 that is asked for is FP32; TF32 keeps as many bits as FP16, whose islands only want its range.
        is_tf32_allowed=source.precision != "fp32",
    )


def _timing_cache(library: Library, gpu: Gpu | None, report: Report) -> TimingCache | None:
    if gpu is None or not library.flavour.value.has_timing_cache:
        return None
    return TimingCache(timing_cache_path(library, gpu), report)
