"""The TensorRT engine that a benchmark is to run: named, or the one in the folders of engines that fits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from refusion.benchmarks.latency.precisions import Precision
from refusion.benchmarks.latency.weights import Weights
from refusion.errors import BackendError
from refusion.models import Model


def engine_for(
    weights: Weights, model: Model, precision: Precision, *, size: tuple[int, int], batch: int
) -> Path:
    """Return the plan of the engine for these weights, of this precision, that takes such a batch.

    Raises:
        BackendError: There is no GPU, no TensorRT, or no such engine; the message says how one is built.
    """
    if weights.plan is not None:
        return weights.plan
    from refusion.backends.tensorrt.identity import model_option
    from refusion.backends.tensorrt.library import Flavour, available_flavours, installation_advice
    from refusion.backends.tensorrt.search import engine_folders, find_engine
    from refusion.gpus import find_gpus

    if not available_flavours():
        raise BackendError(f"TensorRT is not installed: {installation_advice(Flavour.tensorrt)}")
    found = find_gpus()
    if not found.gpus:
        raise BackendError(f"TensorRT needs an NVIDIA GPU, and none was found: {found.problem}")
    width, height = size
    plan = find_engine(
        weights.task.name,
        model.name,
        weights.checkpoint_sha256s(),
        gpu=found.gpus[0],
        batch=batch,
        height=height,
        width=width,
        precision=precision.name,
    )
    if plan is None:
        command = (
            f"refusion export --task {weights.task.name}{model_option(model.name)} --{precision.name} "
            f"--shape {height}x{width}{f' --batch {batch}' if batch > 1 else ''}"
        )
        raise BackendError(
            f"no {precision.name} engine of these weights in {' and '.join(map(str, engine_folders()))} "
            f"takes {f'{batch} pairs of ' if batch > 1 else ''}{width}x{height}; `{command}` builds one"
        )
    return plan


def engine_facts(plan: Path) -> dict[str, Any]:
    """Return what is known of an engine, from its record: hashes, precision, and what built it.

    Raises:
        BackendError: The record is damaged.
    """
    from refusion.backends.tensorrt.sidecar import read_sidecar

    record = read_sidecar(plan)
    if record is None:
        return {}
    identity = record.identity
    return {
        "plan_sha256": record.plan_sha256,
        "onnx_sha256": identity.onnx_sha256,
        "checkpoint_sha256": identity.checkpoint_sha256,
        "precision": identity.precision,
        "built_by": f"{identity.flavour.value.title} {identity.tensorrt_version}",
        "built_on": identity.gpu_name,
        "profile": str(identity.profile),
        "optimization_level": identity.optimization_level,
        "is_tf32_allowed": identity.is_tf32_allowed,
        "accuracy": record.accuracy,
        "verification": record.verification,
    }
