"""Finding the engine that fits best, by the records alone: no plan is opened, no library imported in vain."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from refusion.backends.tensorrt.identity import PLAN_SUFFIX, EngineIdentity, EngineRecord, this_platform
from refusion.backends.tensorrt.library import Flavour, available_flavours, load_library
from refusion.backends.tensorrt.sidecar import read_sidecar
from refusion.backends.tensorrt.signing import is_signed
from refusion.errors import RefusionError
from refusion.gpus import Gpu

FOLDERS_VARIABLE = "REFUSION_ENGINES"


def engine_folders() -> tuple[Path, ...]:
    """Return where engines are looked for: `$REFUSION_ENGINES` (several, as in PATH), else ./engines."""
    named = os.environ.get(FOLDERS_VARIABLE, "")
    return tuple(Path(folder) for folder in named.split(os.pathsep) if folder) or (Path("engines"),)


def find_engine(
    task: str,
    model: str,
    checkpoint_sha256s: Collection[str],
    *,
    folders: Sequence[Path] | None = None,
    gpu: Gpu,
    batch: int,
    height: int,
    width: int,
    trust: bool = False,
    precision: str | None = None,
) -> Path | None:
    """Return the plan that fits best, or None.

    It fits if load_engine would load it for these weights, this GPU and this shape. Of those, the best is of
    the lowest precision, then tuned for the nearest size, then built on this very GPU model, then the newest.

    Args:
        task: The task's name.
        model: The network's name.
        checkpoint_sha256s: Hashes of the weights that will do.
        folders: Where to look, not below; None: engine_folders().
        gpu: The GPU that will run it.
        batch, height, width: The shape that it must take.
        trust: Whether foreign engines fit too. Those without a record never do: nothing is known of them.
        precision: fp16 or fp32; None: either fits.
    """
    candidates = []
    for plan, record in _records(engine_folders() if folders is None else folders):
        identity = record.identity
        if (
            (identity.task, identity.model) == (task, model)
            and identity.checkpoint_sha256 in checkpoint_sha256s
            and (identity.platform, identity.compute_capability) == (this_platform(), gpu.sm)
            and identity.profile.contains(batch, height, width)
            and precision in (None, identity.precision)
            and (trust or _is_own(record))
        ):
            candidates.append(
                (_badness(identity, gpu, batch, height, width), record.built_at, plan, identity)
            )
    # Two stable sorts: newest first among equals.
    candidates.sort(key=lambda candidate: candidate[1], reverse=True)
    candidates.sort(key=lambda candidate: candidate[0])
    installed: dict[Flavour, str] = {}
    for _, _, plan, identity in candidates:
        if identity.flavour not in installed:
            installed[identity.flavour] = _installed_version(identity.flavour)
        if identity.tensorrt_version == installed[identity.flavour]:
            return plan
    return None


def _records(folders: Sequence[Path]) -> Iterator[tuple[Path, EngineRecord]]:
    for folder in folders:
        for plan in sorted(folder.glob(f"*{PLAN_SUFFIX}")):
            try:
                record = read_sidecar(plan)
                is_whole = record is not None and plan.stat().st_size == record.plan_bytes
            # What cannot be read does not fit; who names such a plan is told why.
            except (RefusionError, OSError):
                continue
            if record is not None and is_whole:
                yield plan, record


def _is_own(record: EngineRecord) -> bool:
    try:
        return is_signed(record)
    except RefusionError:  # a damaged key; load_engine names it
        return False


def _badness(
    identity: EngineIdentity, gpu: Gpu, batch: int, height: int, width: int
) -> tuple[bool, float, bool]:
    """Return what find_engine sorts by; sizes are compared by their ratio."""
    sizes = zip(identity.profile.optimum, (batch, height, width), strict=True)
    distance = sum(abs(math.log(best / asked)) for best, asked in sizes)
    is_other_model = identity.flavour.value.is_tied_to_gpu_model and identity.gpu_name != gpu.name
    return identity.precision == "fp32", distance, is_other_model


def _installed_version(flavour: Flavour) -> str:
    if flavour not in available_flavours():
        return ""
    try:
        return load_library(flavour).version
    except RefusionError:
        return ""
