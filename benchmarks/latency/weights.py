"""Files of one network's weights, in the forms that differ between those who run it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from refusion.errors import UsageError
from refusion.models import Model
from refusion.placement import CHECKPOINT_KEY, PLAN_SUFFIX
from refusion.tasks import Task
from refusion.weights import sha256, shipped_weights
from refusion.weights_file import stated


@dataclass(frozen=True)
class Weights:
    """Files of one network's weights, as far as there are any."""

    safetensors: Path | None
    """Or a checkpoint of another kind that PyTorch reads."""
    onnx: Path | None
    naive_onnx: Path | None = None
    """What `export_naively` wrote."""
    plan: Path | None = None
    """A TensorRT engine that was named; None: one is looked for in the folders of engines."""
    task: Task = Task.ivif

    @classmethod
    def shipped(cls, task: Task, model: Model) -> Weights:
        """Return the files that come with the package.

        Raises:
            WeightsError: There are none.
        """
        files = shipped_weights(task, model)
        return cls(files.safetensors, files.onnx, task=task)

    @classmethod
    def of_file(cls, path: Path, task: Task = Task.ivif) -> Weights:
        """Return a user's file."""
        if path.suffix == PLAN_SUFFIX:
            return cls(None, None, plan=path, task=task)
        return cls(None, path, task=task) if path.suffix == ".onnx" else cls(path, None, task=task)

    @property
    def files(self) -> tuple[Path, ...]:
        """Those that somebody gave, none that was made from them."""
        return tuple(path for path in (self.safetensors, self.onnx, self.plan) if path is not None)

    def for_suffixes(self, suffixes: Iterable[str], who: str) -> Path:
        """Return the file that somebody can read.

        Raises:
            UsageError: There is none.
        """
        for path in self.files:
            if path.suffix in suffixes:
                return path
        raise UsageError(f"{who} reads {' or '.join(suffixes)} files, and none was given")

    def checkpoint_sha256s(self) -> tuple[str, ...]:
        """Return the hashes of the checkpoint, by which engines made from it are known."""
        if self.safetensors is not None:
            return (sha256(self.safetensors),) if self.safetensors.is_file() else ()
        checkpoint = None if self.onnx is None else stated(self.onnx).get(CHECKPOINT_KEY)
        return (checkpoint,) if checkpoint else ()
