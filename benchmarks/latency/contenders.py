"""What is compared: our networks on every backend, and what they are compared with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from refusion.backends import BACKENDS, Backend, create_backend
from refusion.benchmarks.latency.baselines import (
    Baseline,
    NaiveOnnx,
    OfficialNetwork,
    official_checkpoint,
)
from refusion.benchmarks.latency.engines import engine_for
from refusion.benchmarks.latency.precisions import Precision
from refusion.benchmarks.latency.weights import Weights
from refusion.errors import BackendError, UsageError
from refusion.models import Model

__all__ = ["DEVICES", "Baseline", "Contender", "Weights", "contenders", "reference_of"]

DEVICES = ("cpu", "cuda")
# Of those that are not on the CPU alone.
_DEVICES_OF = {"tensorrt": ("cuda",), "onnxruntime": DEVICES}
_PRECISIONS_OF = {"tensorrt": (Precision.fp16, Precision.fp32), "native-bf16": (Precision.bf16,)}


@dataclass(frozen=True)
class Contender:
    """One network on one backend, or one of the baselines."""

    model: Model
    runner: str
    """Name of a backend or of a Baseline member."""
    device: str = "cpu"
    """cpu or cuda."""
    precision: Precision = Precision.fp32
    """What the network's products are computed in."""

    @property
    def baseline(self) -> Baseline | None:
        """Which baseline it is; None for a backend."""
        return Baseline.__members__.get(self.runner)

    @property
    def is_of_one_size(self) -> bool:
        """Whether what is loaded may refuse other sizes than the one that it was opened for."""
        return self.runner == "tensorrt" or (self.baseline is not None and self.baseline.is_of_one_size)

    @property
    def title(self) -> str:
        """What tables call it."""
        if self.runner == "tensorrt":
            return f"{self.model.name}, tensorrt {self.precision.name}"
        name = f"{self.model.name}, {self.runner}" if self.baseline is None else self.baseline.value.title
        return f"{name}, CUDA" if self.device == "cuda" else name

    def file(self, weights: Weights, *, size: tuple[int, int], batch: int = 1) -> Path:
        """Return the file that it loads to fuse such a batch.

        Raises:
            UsageError: There is none among the weights.
            BackendError: There is no engine.
        """
        if self.runner == "tensorrt":
            return engine_for(weights, self.model, self.precision, size=size, batch=batch)
        if self.baseline is None:
            return weights.for_suffixes(BACKENDS[self.runner].suffixes, f"the {self.runner} backend")
        if self.baseline is not Baseline.naive_onnx:
            return official_checkpoint(weights)
        if weights.naive_onnx is None:
            raise BackendError("the naive ONNX export is missing")
        return weights.naive_onnx

    def open(self, weights: Weights, *, size: tuple[int, int], batch: int = 1, threads: int = 0) -> Backend:
        """Load it, for batches of one size; others it may refuse.

        Raises:
            RefusionError: It cannot run here; the message says why.
        """
        path = self.file(weights, size=size, batch=batch)
        if self.baseline is None:
            return create_backend(self.runner, path, threads=threads, device=self.device)
        if self.baseline is Baseline.naive_onnx:
            return NaiveOnnx(path, threads=threads, device=self.device)
        is_compiled = self.baseline is Baseline.compiled
        shape = (batch, 2, size[1], size[0]) if is_compiled else None
        return OfficialNetwork(path, threads=threads, device=self.device, compiled_for=shape)


def contenders(
    models: Iterable[Model],
    backends: Iterable[str] | None,
    *,
    with_baselines: bool,
    devices: Sequence[str] = ("cpu",),
    precisions: Sequence[Precision] = tuple(Precision),
) -> list[Contender]:
    """Return what is to be compared, baselines first.

    Args:
        models: The networks.
        backends: Names; None: all that load a file and run on the devices.
        with_baselines: Whether the full network is compared with what others would run.
        devices: Of DEVICES. A backend that is named is compared wherever it runs, if on none of them.
        precisions: Those that are compared.

    Raises:
        UsageError: There is no such backend, one has its network elsewhere, or none runs in these precisions.
    """
    loading = [name for name, facts in BACKENDS.items() if facts.suffixes]
    for name in backends or ():
        if name in loading:
            continue
        if name in BACKENDS:
            raise UsageError(
                f"the {name} backend has its network on a server: measure it there, with perf_analyzer, or "
                f"whole streams with `refusion stream --backend {name} --report FILE`"
            )
        raise UsageError(f"there is no backend '{name}'; choose one of {', '.join(loading)}")
    models = list(models)
    chosen = []
    if with_baselines and Model.full in models:
        chosen = [Contender(Model.full, baseline.name, device) for device in devices for baseline in Baseline]
    for model in models:
        for name in backends or loading:
            able = _DEVICES_OF.get(name, ("cpu",))
            used = [device for device in able if device in devices] or (able if backends else ())
            for device in used:
                for precision in _PRECISIONS_OF.get(name, (Precision.fp32,)):
                    chosen.append(Contender(model, name, device, precision))
    chosen = [contender for contender in chosen if contender.precision in precisions]
    if not any(contender.baseline is None for contender in chosen):
        raise UsageError(
            f"none of these backends runs in {' or '.join(precision.name for precision in precisions)}"
        )
    return chosen


def reference_of(model: Model) -> Contender:
    """Return what the results of a network are compared with: PyTorch, float32; of the full one as the
    official script computes it.
    """
    return Contender(model, Baseline.official.name if model is Model.full else "torch")
