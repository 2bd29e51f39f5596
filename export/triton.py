"""A model repository for NVIDIA's Triton Inference Server: ONNX and plan, batched as requests come."""

from __future__ import annotations

import enum
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from refusion.backends.tensorrt.shapes import ShapeProfile
from refusion.errors import OutputError
from refusion.files import make_folder

# How long a request may wait for others to share its batch: short beside the frame time of a camera (33 ms).
QUEUE_DELAY_US = 2000


class TritonBackend(enum.Enum):
    """A backend of Triton; the value is the name that it looks for in a version folder."""

    onnxruntime = "model.onnx"
    tensorrt = "model.plan"


@dataclass(frozen=True)
class TritonModel:
    """One model of a repository."""

    name: str
    backend: TritonBackend
    file: Path
    profile: ShapeProfile
    note: str
    """A line for people, at the head of the configuration."""
    identity: Mapping[str, str] = field(default_factory=dict)
    """What clients compare, so that they notice another model: parameters of the configuration."""

    def configuration(self) -> str:
        """Return config.pbtxt (Triton's ModelConfig in protobuf's text form)."""
        sizes = [
            best if low == high else -1
            for low, best, high in zip(
                self.profile.minimum[1:], self.profile.optimum[1:], self.profile.maximum[1:], strict=True
            )
        ]
        largest = self.profile.maximum[0]
        lines = [
            f"# {self.note}",
            f'name: "{self.name}"',
            f'backend: "{self.backend.name}"',
            f"max_batch_size: {largest}",
            _tensor("input", "sources", [2, *sizes]),
            _tensor("output", "fused", [1, *sizes]),
            "instance_group [ { count: 1 kind: KIND_AUTO } ]",
        ]
        if largest > 1:
            lines.append(f"dynamic_batching {{ max_queue_delay_microseconds: {QUEUE_DELAY_US} }}")
        lines += [
            f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}'
            for key, value in self.identity.items()
        ]
        lines += [_warm_up(batch, self.profile.optimum[1:]) for batch in sorted({1, largest})]
        return "\n".join(lines) + "\n"


def _tensor(kind: str, name: str, dims: Sequence[int]) -> str:
    return f'{kind} [ {{ name: "{name}" data_type: TYPE_FP32 dims: [ {_listed(dims)} ] }} ]'


def _warm_up(batch: int, size: tuple[int, ...]) -> str:
    """Return a warm-up request: a model is ready once its kernels and memory are, not at its first frame."""
    return (
        f'model_warmup [ {{ name: "batch {batch}" batch_size: {batch} inputs {{ key: "sources" value {{ '
        f"data_type: TYPE_FP32 dims: [ {_listed([2, *size])} ] random_data: true }} }} }} ]"
    )


def _listed(dims: Sequence[int]) -> str:
    return ", ".join(map(str, dims))


def write_model_repository(folder: Path, models: Sequence[TritonModel], *, force: bool) -> list[Path]:
    """Write each model as NAME/config.pbtxt and NAME/1/FILE; other models of the folder are left alone.

    Args:
        folder: The repository, made if need be.
        models: What to write.
        force: Whether models that are there may be replaced.

    Returns:
        The folders of the models.

    Raises:
        OutputError: A model is there and force is off, or the folder cannot be written to; no model is
            half-written.
    """
    targets = [folder / model.name for model in models]
    for target in targets:
        if target.exists() and not force:
            raise OutputError(f"{target} is there already; give --force to replace it")
    make_folder(folder)
    for model, target in zip(models, targets, strict=True):
        try:
            # Hidden names are no models to Triton.
            with tempfile.TemporaryDirectory(prefix=".", dir=folder, ignore_cleanup_errors=True) as staged:
                version = Path(staged) / model.name / "1"
                version.mkdir(parents=True)
                (version.parent / "config.pbtxt").write_text(model.configuration(), encoding="utf-8")
                shutil.copyfile(model.file, version / model.backend.value)
                if target.exists():
                    target.replace(Path(staged) / "replaced")
                version.parent.replace(target)
        except OSError as error:
            raise OutputError(f"{target} cannot be written: {error.strerror}") from None
    return targets
