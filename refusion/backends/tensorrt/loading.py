"""From a plan on disk to a deserialised engine, safely: a plan is machine code, and TensorRT trusts it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refusion.backends.tensorrt.identity import EngineIdentity, EngineRecord, ShapeProfile, this_platform
from refusion.backends.tensorrt.interrupts import held_interrupts
from refusion.backends.tensorrt.library import (
    Flavour,
    Library,
    available_flavours,
    installation_advice,
    load_library,
)
from refusion.backends.tensorrt.search import engine_folders, find_engine
from refusion.backends.tensorrt.sidecar import read_sidecar, sidecar_of
from refusion.backends.tensorrt.signing import is_signed
from refusion.errors import BackendError, InputError, RefusionError
from refusion.gpus import Gpu, find_gpus

__all__ = ["LoadedEngine", "engine_folders", "find_engine", "load_engine"]

INPUT, OUTPUT = "sources", "fused"


@dataclass(frozen=True, eq=False)
class LoadedEngine:
    """A deserialised engine, and what is known of it."""

    path: Path
    record: EngineRecord | None
    """None for a trusted plan without a sidecar."""
    library: Library
    runtime: Any
    """Must outlive the engine."""
    engine: Any
    profile: ShapeProfile
    """As the engine itself states it."""
    notes: tuple[str, ...]
    """What a user should know, for instance that it was built on another GPU model."""


def load_engine(
    plan: Path,
    *,
    library: Library | None = None,
    gpu: Gpu | None = None,
    trust: bool = False,
    rebuild: bool = True,
    report: Callable[[str], None] = lambda line: None,
    verify: Callable[[Path], dict[str, Any]] | None = None,
) -> LoadedEngine:
    """Check a plan, then deserialise it.

    The order is the safety: the bytes that are hashed are the bytes that are deserialised, and nothing of
    them reaches TensorRT before hash, signature, version and GPU agree.

    Args:
        plan: The `.plan`.
        library: What to load it with; None loads the library that its record names.
        gpu: The GPU that will run it; None takes the first.
        trust: Load a foreign plan too: one without a record, or whose record this user's key did not sign.
            What is damaged, or does not fit, is refused all the same.
        rebuild: Build an engine that fits where this one was built by another TensorRT version or for another
            GPU, if its ONNX lies beside it. Takes minutes.
        report: Takes lines for people.
        verify: As for refusion.export.engine.build_engine, in a rebuild.

    Raises:
        InputError: There is no such file.
        BackendError: It is foreign, damaged, does not fit this library or GPU, or TensorRT refuses it.
    """
    try:
        data = plan.read_bytes()
    except FileNotFoundError:
        raise InputError(f"there is no engine {plan}") from None
    except OSError as error:
        raise InputError(f"{plan} cannot be read: {error.strerror}") from None
    record = read_sidecar(plan)
    _refuse_damaged(plan, data, record)
    if not trust:
        _refuse_foreign(plan, record)
    if record is None:
        return _deserialised(plan, data, None, library or _any_library(), ())
    gpu = gpu or _first_gpu(plan)
    library = library or load_library(record.identity.flavour)
    misfits = _misfits(record.identity, library, gpu)
    note = _other_model(record.identity, gpu)
    if misfits or note:
        rebuilt = _rebuilt(plan, record, library, gpu, misfits + note, report, verify) if rebuild else None
        if rebuilt is not None:
            return load_engine(rebuilt, library=library, gpu=gpu, rebuild=False, report=report)
    if misfits:
        raise BackendError(
            f"{plan} does not fit: {'; '.join(misfits)}. Build one that does: "
            f"`{record.identity.export_command()}`"
        )
    return _deserialised(plan, data, record, library, note)


def _refuse_damaged(plan: Path, data: bytes, record: EngineRecord | None) -> None:
    if record is None:
        return
    found = hashlib.sha256(data).hexdigest()
    if found != record.plan_sha256:
        raise BackendError(
            f"{plan} is damaged or was replaced, and was not loaded: its SHA-256 is {found[:12]}..., "
            f"{sidecar_of(plan).name} states {record.plan_sha256[:12]}.... Build it again: "
            f"`{record.identity.export_command()} --force`"
        )


def _refuse_foreign(plan: Path, record: EngineRecord | None) -> None:
    if record is None:
        reason = f"it has no record beside it ({sidecar_of(plan).name})"
    elif not record.signature:
        reason = "its record is not signed"
    elif not is_signed(record):
        reason = "its record was not signed with your key: another user or machine built it"
    else:
        return
    raise BackendError(
        f"{plan} is a foreign engine: {reason}. Engines hold machine code: build your own with "
        "`refusion export`, or give --trust (in Python trust=True) if you trust where it comes from"
    )


def _any_library() -> Library:
    flavours = available_flavours()
    if not flavours:
        raise BackendError(f"TensorRT is not installed: {installation_advice(Flavour.tensorrt)}")
    return load_library(flavours[0])


def _first_gpu(plan: Path) -> Gpu:
    found = find_gpus()
    if not found.gpus:
        raise BackendError(f"{plan} needs an NVIDIA GPU, and none was found: {found.problem}")
    return found.gpus[0]


def _misfits(identity: EngineIdentity, library: Library, gpu: Gpu) -> tuple[str, ...]:
    """Return what keeps an engine from running here, both sides named."""
    facts = identity.flavour.value
    found = []
    if identity.flavour is not library.flavour:
        found.append(f"it was built by {facts.title}, this is {library.description}")
    elif identity.tensorrt_version != library.version:
        found.append(
            f"it was built by {facts.title} {identity.tensorrt_version}, this is {library.description}"
        )
    if identity.compute_capability != gpu.sm:
        built_for = f"{identity.compute_capability} {identity.gpu_name}".strip()
        found.append(f"it was built for {built_for}, this GPU is {gpu.sm} {gpu.name}")
    if identity.platform != this_platform():
        found.append(f"it was built on {identity.platform}, this is {this_platform()}")
    return tuple(found)


def _other_model(identity: EngineIdentity, gpu: Gpu) -> tuple[str, ...]:
    """Return a note where the GPU is of another model.

    Not a misfit: TensorRT loads such a plan and warns that it may be slow or fail. So we build a better one
    where that is possible, and go on with the note where it is not.
    """
    if not identity.flavour.value.is_tied_to_gpu_model or identity.gpu_name == gpu.name:
        return ()
    return (f"it was built on {identity.gpu_name}, this GPU is {gpu.name}: it may be slow, or fail",)


def _rebuilt(
    plan: Path,
    record: EngineRecord,
    library: Library,
    gpu: Gpu,
    reasons: tuple[str, ...],
    report: Callable[[str], None],
    verify: Callable[[Path], dict[str, Any]] | None,
) -> Path | None:
    """Return an engine of the same model that fits, built if need be; None where that is not possible."""
    onnx = plan.with_name(record.onnx_file)
    identity = record.identity
    try:
        if hashlib.sha256(onnx.read_bytes()).hexdigest() != identity.onnx_sha256:
            report(f"{onnx} is not the model that {plan.name} was built from: no engine is built from it")
            return None
    except OSError:
        return None
    from refusion.export.engine import EngineRequest, build_engine

    request = EngineRequest(
        onnx=onnx,
        folder=plan.parent,
        flavour=library.flavour,
        profile=identity.profile,
        workspace_mib=identity.workspace_mib,
        optimization_level=identity.optimization_level,
    )
    report(f"{plan.name} does not fit ({'; '.join(reasons)}): building one from {onnx.name} that does")
    try:
        return build_engine(request, report=report, verify=verify, library=library, gpu=gpu).path
    except RefusionError as error:
        report(f"no engine was built from {onnx.name}: {error}")
        return None


def _deserialised(
    plan: Path, data: bytes, record: EngineRecord | None, library: Library, notes: tuple[str, ...]
) -> LoadedEngine:
    runtime = library.create("Runtime")
    # Newer versions can run host code out of a plan, and leave it off; older ones cannot. Ours hold none.
    if hasattr(runtime, "engine_host_code_allowed"):
        runtime.engine_host_code_allowed = False
    with held_interrupts(), library.log.recording() as lines:
        engine = runtime.deserialize_cuda_engine(data)
    if engine is None:
        raise library.failure(f"does not load {plan}", lines)
    names = tuple(engine.get_tensor_name(index) for index in range(engine.num_io_tensors))
    if sorted(names) != sorted((INPUT, OUTPUT)):
        raise BackendError(
            f"{plan} is no ReFusion engine: expected the tensors {INPUT} and {OUTPUT}, "
            f"found {', '.join(names)}"
        )
    shapes = [tuple(int(size) for size in dims) for dims in engine.get_tensor_profile_shape(INPUT, 0)]
    if len(shapes) != 3 or any(len(shape) != 4 or shape[1] != 2 for shape in shapes):
        raise BackendError(
            f"{plan} is no ReFusion engine: expected {INPUT} of shape (batch, 2, height, width), "
            f"found {shapes}"
        )
    minimum, optimum, maximum = ((batch, height, width) for batch, _, height, width in shapes)
    profile = ShapeProfile(minimum, optimum, maximum)
    return LoadedEngine(plan, record, library, runtime, engine, profile, notes)
