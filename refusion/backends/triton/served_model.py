"""What a server says about the models it serves, and which of them fuses a task."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from refusion.errors import BackendError, InputError, UsageError
from refusion.models import Model
from refusion.tasks import Task

PREFIX = "refusion."
"""Of the parameters of a configuration that say what is served."""
TASK, MODEL, PRECISION, CHECKPOINT = (PREFIX + name for name in ("task", "model", "precision", "checkpoint"))
RUNTIMES = ("tensorrt", "onnx")
PRECISIONS = ("fp16", "fp32")

_EXPECTED = ["sources TYPE_FP32 of 2 planes", "fused TYPE_FP32 of 1 plane"]


def model_name(task: str, model: Model, precision: str, runtime: str) -> str:
    """Return what a model is called in a repository, for instance `refusion_ivif_lite_fp16_onnx`."""
    return f"refusion_{task}{model.value.suffix.replace('-', '_')}_{precision}_{runtime}"


def choose(served: Collection[str], task: Task, model: Model) -> str:
    """Return the model of a task that a server has ready: a TensorRT plan before an ONNX, FP16 before FP32.

    Raises:
        BackendError: It has none.
    """
    names = [
        model_name(task.name, model, precision, runtime) for runtime in RUNTIMES for precision in PRECISIONS
    ]
    for name in names:
        if name in served:
            return name
    raise BackendError(
        f"the server has no model for {task.name}, {model.name}, ready: expected one named like {names[0]}, "
        f"found {', '.join(sorted(served)) or 'none'}; write one with `refusion export --task {task.name} "
        f"--model {model.name} --format triton`, or name another after the address: HOST:PORT/NAME"
    )


@dataclass(frozen=True)
class ServedModel:
    """A model as its server describes it."""

    name: str
    largest_batch: int
    size: tuple[int | None, int | None]
    """Height and width that it takes; None: any."""
    identity: Mapping[str, str] = field(default_factory=dict)
    """What our exporter says about it, by parameter; empty where another one wrote the configuration."""

    @classmethod
    def of(cls, config: Any) -> ServedModel:
        """Read a configuration (Triton's ModelConfig).

        Raises:
            BackendError: It is not one of a ReFusion network.
        """
        found = [_described(tensor) for tensor in (*config.input, *config.output)]
        if found != _EXPECTED or config.max_batch_size < 1:
            raise BackendError(
                f"the model {config.name} is no ReFusion model: expected batches of {_EXPECTED}, "
                f"found {found}, batches of {config.max_batch_size}; "
                "`refusion export --format triton` writes such models"
            )
        height, width = (None if length < 0 else length for length in config.input[0].dims[1:])
        identity = {
            key: value.string_value for key, value in config.parameters.items() if key.startswith(PREFIX)
        }
        return cls(config.name, config.max_batch_size, (height, width), identity)

    def refuse_other(self, task: Task, model: Model | None) -> None:
        """Check that it is of this task and model, as far as it says.

        Raises:
            UsageError: It is of another.
        """
        for key, asked in ((TASK, task.name), (MODEL, model and model.name)):
            found = self.identity.get(key, asked)
            if asked is not None and found != asked:
                raise UsageError(
                    f"the server's {self.name} is of the {key.removeprefix(PREFIX)} {found}, not {asked}"
                )

    def refuse_size(self, height: int, width: int) -> None:
        """Check that it takes frames of this size.

        Raises:
            InputError: It is made for another.
        """
        if self.size[0] not in (None, height) or self.size[1] not in (None, width):
            takes = "x".join("any" if length is None else str(length) for length in reversed(self.size))
            raise InputError(
                f"the server's {self.name} takes frames of {takes}, found {width}x{height}; export one "
                "without --shape, or resize the frames"
            )


def _described(tensor: Any) -> str:
    types = tensor.DESCRIPTOR.fields_by_name["data_type"].enum_type.values_by_number
    planes = tensor.dims[0] if len(tensor.dims) == 3 else 0
    return f"{tensor.name} {types[tensor.data_type].name} of {planes} plane{'s' * (planes != 1)}"
