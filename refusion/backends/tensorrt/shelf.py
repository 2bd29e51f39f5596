"""The engines at hand, and what keeps each from running here: for choosing one, and for telling people."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from refusion.backends.tensorrt.identity import PLAN_SUFFIX, EngineRecord, model_option, this_platform
from refusion.backends.tensorrt.library import available_flavours
from refusion.backends.tensorrt.network import BatchShape
from refusion.backends.tensorrt.search import find_engine
from refusion.backends.tensorrt.sidecar import read_sidecar
from refusion.backends.tensorrt.signing import is_signed
from refusion.errors import RefusionError
from refusion.gpus import Gpu
from refusion.models import Model
from refusion.tasks import Task


@dataclass(frozen=True)
class ShelvedEngine:
    """A plan in a folder of engines."""

    plan: Path
    record: EngineRecord | None
    problem: str
    """What keeps it from running here whatever it is asked to fuse; empty if nothing does."""


def shelved_engines(folders: Sequence[Path], *, gpu: Gpu | None, trust: bool) -> Iterator[ShelvedEngine]:
    """Yield the engines of some folders, by their records alone.

    Args:
        folders: Where to look, not below.
        gpu: The GPU that is to run them; None if there is none.
        trust: Whether foreign engines may be loaded.
    """
    for folder in folders:
        for plan in sorted(folder.glob(f"*{PLAN_SUFFIX}")):
            try:
                record = read_sidecar(plan)
                problem = _problem(plan, record, gpu, trust)
            except RefusionError as error:
                record, problem = None, str(error)
            yield ShelvedEngine(plan, record, problem)


def _problem(plan: Path, record: EngineRecord | None, gpu: Gpu | None, trust: bool) -> str:
    if record is None:
        return "it has no record: name it with --weights and --trust"
    if plan.stat().st_size != record.plan_bytes:
        return "it is damaged: its size is not that of its record"
    identity, title = record.identity, record.identity.flavour.value.title
    if identity.flavour not in available_flavours():
        return f"it needs {title}, which is not installed"
    installed = _installed_version(identity.flavour.value.module)
    if installed and installed != identity.tensorrt_version:
        return f"it was built by {title} {identity.tensorrt_version}, {installed} is installed"
    if identity.platform != this_platform():
        return f"it was built on {identity.platform}, this is {this_platform()}"
    if gpu is None:
        return f"it needs a GPU ({identity.compute_capability}), and there is none"
    if identity.compute_capability != gpu.sm:
        return f"it was built for {identity.compute_capability}, {gpu.name} is {gpu.sm}"
    if not trust and not is_signed(record):
        return "it is foreign: another user or machine built it (--trust loads it)"
    return ""


def _installed_version(module: str) -> str:
    # By the package's metadata: importing TensorRT takes a second, and reporting must not fail where it does.
    try:
        return version(module.replace("_", "-"))
    except PackageNotFoundError:
        return ""


@dataclass(frozen=True)
class Shelf:
    """The engines of one set of weights, for one GPU."""

    task: Task
    model: Model
    checkpoint_sha256s: Collection[str]
    folders: tuple[Path, ...]
    gpu: Gpu
    trust: bool

    def find(self, shape: BatchShape) -> Path | None:
        """Return the plan that fits best, or None."""
        return find_engine(
            self.task.name,
            self.model.name,
            self.checkpoint_sha256s,
            folders=self.folders,
            gpu=self.gpu,
            batch=shape.batch,
            height=shape.height,
            width=shape.width,
            trust=self.trust,
        )

    @property
    def holds_any(self) -> bool:
        """Whether an engine of these weights would run here, at whatever size."""
        return any(not self._objection(engine, None) for engine in self._engines())

    def explain(self, shape: BatchShape | None) -> str:
        """Say why no engine fits, engine by engine, and how one that does is built; None: at any size."""
        where = " and ".join(map(str, self.folders))
        engines = [f"{engine.plan.name}: {self._objection(engine, shape)}" for engine in self._engines()]
        found = "; ".join(engines) or "it holds none"
        size = f" --shape {shape.height}x{shape.width}" if shape else ""
        options = f"--task {self.task.name}{model_option(self.model.name)} --fp16{size}"
        asked = f" at {shape.text}" if shape else ""
        return (
            f"no engine in {where} fits {self.task.name}{asked} ({found}); "
            f"`refusion export {options}` builds one"
        )

    def _engines(self) -> Iterator[ShelvedEngine]:
        return shelved_engines(self.folders, gpu=self.gpu, trust=self.trust)

    def _objection(self, engine: ShelvedEngine, shape: BatchShape | None) -> str:
        if engine.problem or engine.record is None:
            return engine.problem
        identity = engine.record.identity
        if (identity.task, identity.model) != (self.task.name, self.model.name):
            return f"it is for {identity.task}, {identity.model}"
        if identity.checkpoint_sha256 not in self.checkpoint_sha256s:
            return "it is of other weights"
        if shape is not None and not identity.profile.contains(*shape):
            return f"it takes {identity.profile}"
        return ""
