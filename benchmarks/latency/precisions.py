"""What the products of a network are computed in."""

from __future__ import annotations

import enum

from refusion.errors import UsageError


class Precision(enum.Enum):
    """A member's name is what people and engines call it, its value what reports state."""

    fp32 = "float32"
    fp16 = "float16"
    """With float32 where float16 breaks."""
    bf16 = "bfloat16"

    @classmethod
    def parse(cls, name: str) -> Precision:
        """Return the precision of that name.

        Raises:
            UsageError: There is no such precision.
        """
        if name not in cls.__members__:
            raise UsageError(f"there is no precision '{name}'; choose one of {', '.join(cls.__members__)}")
        return cls[name]
