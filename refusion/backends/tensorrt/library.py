"""The TensorRT libraries: which are there, loading one, and what the loaded one can do."""

from __future__ import annotations

import enum
import importlib
import importlib.util
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from refusion.backends.tensorrt.installation import (
    Machine,
    tensorrt_advice,
    tensorrt_rtx_advice,
    this_architecture,
)
from refusion.backends.tensorrt.interrupts import held_interrupts
from refusion.backends.tensorrt.logbook import LogBook, Recording, create_logger
from refusion.errors import BackendError, UsageError

OLDEST = (8, 5)
"""The first with tensors addressed by name, which the runtime is built on."""


@dataclass(frozen=True)
class FlavourFacts:
    """What sets one TensorRT library apart from the other."""

    text: str
    """Name on the command line and in records."""
    title: str
    module: str
    oldest: tuple[int, ...]
    has_timing_cache: bool
    """TensorRT-RTX keeps the calls as deprecated ones that do nothing, so hasattr does not tell."""
    is_tied_to_gpu_model: bool
    """TensorRT times its kernels on the GPU at hand; TensorRT-RTX compiles for a compute capability."""
    advice: Callable[..., str]


class Flavour(enum.Enum):
    """A TensorRT library."""

    tensorrt = FlavourFacts(
        text="tensorrt",
        title="TensorRT",
        module="tensorrt",
        oldest=OLDEST,
        has_timing_cache=True,
        is_tied_to_gpu_model=True,
        advice=tensorrt_advice,
    )
    tensorrt_rtx = FlavourFacts(
        text="tensorrt-rtx",
        title="TensorRT-RTX",
        module="tensorrt_rtx",
        oldest=(1, 0),
        has_timing_cache=False,
        is_tied_to_gpu_model=False,
        advice=tensorrt_rtx_advice,
    )

    @classmethod
    def parse(cls, name: str | Flavour) -> Flavour:
        """Return the flavour of that name, as on the command line.

        Raises:
            UsageError: There is no such flavour.
        """
        if isinstance(name, Flavour):
            return name
        for flavour in cls:
            if name == flavour.value.text:
                return flavour
        known = " or ".join(flavour.value.text for flavour in cls)
        raise UsageError(f"there is no TensorRT library '{name}'; expected {known}")


@dataclass(frozen=True, eq=False)
class Library:
    """A loaded TensorRT library with its one logger (it ignores every logger after the first)."""

    flavour: Flavour
    module: Any
    log: LogBook
    logger: Any

    @classmethod
    def of(cls, flavour: Flavour, module: Any) -> Library:
        """Wrap an imported module."""
        book = LogBook()
        return cls(flavour, module, book, create_logger(module, book))

    @property
    def version(self) -> str:
        """Version as the library states it; an engine fits this very version."""
        return str(self.module.__version__)

    @property
    def version_numbers(self) -> tuple[int, ...]:
        """The version's leading numbers, for instance (10, 3, 0)."""
        return _numbers(self.version)

    @property
    def description(self) -> str:
        """Name and version, for people."""
        return f"{self.flavour.value.title} {self.version}"

    @property
    def is_strongly_typed(self) -> bool:
        """Whether networks keep the types that the ONNX states (9 and later), without further flags."""
        return hasattr(self.module.NetworkDefinitionCreationFlag, "STRONGLY_TYPED")

    @property
    def onnx_form(self) -> str:
        """The form of ONNX that its parser reads: "layernorm" (opset 20) or "decomposed" (opset 16).

        Gelu came with opset 20, which the parsers of TensorRT 10 and all of TensorRT-RTX read.
        """
        is_new = self.flavour is Flavour.tensorrt_rtx or self.version_numbers >= (10,)
        return "layernorm" if is_new else "decomposed"

    @property
    def targets(self) -> tuple[str, ...]:
        """Compute capabilities that it builds for without such a GPU, for instance "sm89"; TensorRT: none."""
        names = dir(getattr(self.module, "ComputeCapability", None))
        return tuple(
            sorted((n.lower() for n in names if re.fullmatch(r"SM\d+", n)), key=lambda n: int(n[2:]))
        )

    def create(self, kind: str) -> Any:
        """Return a new Builder or Runtime.

        Raises:
            BackendError: It cannot be made, for instance without a GPU.
        """
        with held_interrupts(), self.log.recording() as lines:
            try:
                made = getattr(self.module, kind)(self.logger)
            # pybind11's way to say that a factory returned null.
            except (TypeError, RuntimeError):
                made = None
        if made is None:
            raise self.failure(f"could not start its {kind.lower()}", lines)
        return made

    def failure(self, what: str, lines: Recording) -> BackendError:
        """Return the error for a call that gave nothing, with the reason from the log."""
        return BackendError(f"{self.description} {what}: {lines.reason()}")


def available_flavours() -> tuple[Flavour, ...]:
    """Return what is installed, without importing it."""
    return tuple(flavour for flavour in Flavour if importlib.util.find_spec(flavour.value.module) is not None)


def installation_advice(flavour: Flavour) -> str:
    """Return how the library is installed on this platform, or what works here instead."""
    return flavour.value.advice(Machine.find(), architecture=this_architecture())


_loaded: dict[Flavour, Library] = {}
_loading = threading.Lock()


def load_library(flavour: Flavour) -> Library:
    """Import a TensorRT library; the same object at every call.

    Raises:
        BackendError: It is not installed, cannot be loaded, or is too old; with the install line.
    """
    with _loading:
        if flavour not in _loaded:
            _loaded[flavour] = Library.of(flavour, _imported(flavour))
        return _loaded[flavour]


def _imported(flavour: Flavour) -> Any:
    facts = flavour.value
    if importlib.util.find_spec(facts.module) is None:
        raise BackendError(f"{facts.title} is not installed: {installation_advice(flavour)}")
    try:
        module = importlib.import_module(facts.module)
        version = str(module.__version__)
    # The bindings name their libraries in ImportError, the wheels' loaders in OSError and RuntimeError; a
    # half-removed package is an empty one.
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        raise BackendError(
            f"{facts.title} is installed but cannot be loaded ({error}): {installation_advice(flavour)}"
        ) from None
    if _numbers(version) < facts.oldest:
        oldest = ".".join(map(str, facts.oldest))
        raise BackendError(
            f"{facts.title} {version} is too old: expected {oldest} or later; {installation_advice(flavour)}"
        )
    return module


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version.partition("+")[0]))
