"""The networks: which there are, and (in the modules below, which need PyTorch) what each computes."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from refusion.choices import chosen


@dataclass(frozen=True)
class ModelFacts:
    """What sets one network apart from the others."""

    architecture: str
    """What files of its weights say that they hold."""
    suffix: str
    """Of a task's name, in the names of the shipped files."""


class Model(enum.Enum):
    """A network that fuses; each computes one function of the two lumas, whatever runs it."""

    full = ModelFacts("refusion-full", "")
    """The network of the paper."""
    lite = ModelFacts("refusion-lite", "-lite")
    """Real time on a CPU: a small network at low resolution, applied by a guided step at full resolution."""

    @classmethod
    def parse(cls, name: str | Model) -> Model:
        """Return the network of that name.

        Raises:
            UsageError: There is no such network.
        """
        return chosen(cls, name, called="model")

    @classmethod
    def of_architecture(cls, architecture: str | None) -> Model | None:
        """Return the network that a file of weights says it holds; None where it says none of ours."""
        return next((model for model in cls if model.value.architecture == architecture), None)
