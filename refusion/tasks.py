"""The fusion tasks, each with its facts, and what can become of colour."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from refusion.errors import UsageError


class Chroma(enum.Enum):
    """Where the colour of a fused image comes from (METHOD: the official script's rule)."""

    NONE = "none"
    """Both sources are gray: the result is gray."""
    A = "a"
    """Source b is gray: chroma of source a, unchanged."""
    B = "b"
    """Source a is gray: chroma of source b, unchanged."""
    BOTH = "both"
    """Both have colour: the more colourful source weighs more, at each pixel."""

    @classmethod
    def of(cls, *, a_is_gray: bool, b_is_gray: bool) -> Chroma:
        """Choose by which sources are gray."""
        if a_is_gray and b_is_gray:
            return cls.NONE
        if a_is_gray:
            return cls.B
        return cls.A if b_is_gray else cls.BOTH


@dataclass(frozen=True)
class TaskFacts:
    """What sets one task apart from the others."""

    title: str
    source_a: str
    source_b: str


class Task(enum.Enum):
    """A fusion task; the value is its name on the command line and in file names."""

    ivif = TaskFacts("infrared + visible", "infrared", "visible")
    mif = TaskFacts("medical", "CT, PET or SPECT", "MRI")
    mfif = TaskFacts("multi-focus", "near focus", "far focus")
    meif = TaskFacts("multi-exposure", "under-exposed", "over-exposed")

    @classmethod
    def parse(cls, name: str | Task) -> Task:
        """Return the task of that name.

        Raises:
            UsageError: There is no such task.
        """
        if isinstance(name, Task):
            return name
        try:
            return cls[name]
        except KeyError:
            known = ", ".join(f"{task.name} ({task.value.title})" for task in cls)
            raise UsageError(f"there is no task '{name}'; choose one of {known}") from None
