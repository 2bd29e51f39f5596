"""The shapes that an engine takes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from refusion.errors import InputError, UsageError

Shape = tuple[int, int, int]
"""Batch, height, width."""


@dataclass(frozen=True)
class ShapeProfile:
    """The shapes that an engine takes, and the one that it is tuned for; each (batch, height, width)."""

    minimum: Shape
    optimum: Shape
    maximum: Shape

    def __post_init__(self) -> None:
        for name, low, best, high in zip(
            ("batch", "height", "width"), self.minimum, self.optimum, self.maximum, strict=True
        ):
            if not 1 <= low <= best <= high:
                raise UsageError(
                    f"the {name} of the shapes must rise from minimum over optimum to maximum, from 1 on: "
                    f"found {low}, {best}, {high}"
                )

    @classmethod
    def parse(
        cls, *, minimum: str, optimum: str, maximum: str, batch: tuple[int, int, int] = (1, 1, 1)
    ) -> ShapeProfile:
        """Return the profile of sizes written HxW, for instance "480x640".

        Args:
            minimum, optimum, maximum: The sizes.
            batch: Smallest, best and largest batch.

        Raises:
            UsageError: A size is not HxW, or the sizes do not rise.
        """
        sizes = (_parse_size(text) for text in (minimum, optimum, maximum))
        return cls(*((count, *size) for count, size in zip(batch, sizes, strict=True)))

    @classmethod
    def fixed(cls, batch: int, height: int, width: int) -> ShapeProfile:
        """Return the profile of one shape."""
        shape = (batch, height, width)
        return cls(shape, shape, shape)

    @property
    def is_fixed(self) -> bool:
        """Whether there is one shape only."""
        return self.minimum == self.maximum

    def contains(self, batch: int, height: int, width: int) -> bool:
        """Tell whether an engine with this profile takes that shape."""
        asked = (batch, height, width)
        return all(
            low <= value <= high for low, value, high in zip(self.minimum, asked, self.maximum, strict=True)
        )

    def check(self, batch: int, height: int, width: int) -> None:
        """Raise InputError, with the export that helps, unless the profile contains that shape."""
        if not self.contains(batch, height, width):
            asked = shape_text((batch, height, width))
            raise InputError(
                f"the engine takes {self} (batch x height x width), not {asked}: export one whose "
                "--min-shape, --max-shape and --batch include it"
            )

    def __str__(self) -> str:
        if self.is_fixed:
            return shape_text(self.optimum)
        low, best, high = map(shape_text, (self.minimum, self.optimum, self.maximum))
        return f"{low} to {high} (best at {best})"


def _parse_size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,6})x(\d{1,6})", text.strip().lower())
    if match is None:
        raise UsageError(f"'{text}' is no size: expected HEIGHTxWIDTH in pixels, for instance 480x640")
    return int(match[1]), int(match[2])


def shape_text(shape: Shape) -> str:
    """Return a shape as people write it, for instance "1x480x640"."""
    return "x".join(map(str, shape))
