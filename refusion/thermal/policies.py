"""How counts become gray levels, by choice of the user."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from refusion.choices import chosen
from refusion.errors import UsageError


class AgcPolicy(enum.Enum):
    """How the gain of 16-bit thermal frames is controlled; the value is its name."""

    percentile = "percentile"
    """Linear, from the coldest to the warmest half percent of the scene."""
    plateau = "plateau"
    """Between the same ends, contrast goes where the scene has detail: plateau equalisation."""
    span = "span"
    """Linear over a fixed span of kelvin: the same temperature has the same gray level."""

    @classmethod
    def parse(cls, name: str | AgcPolicy) -> AgcPolicy:
        """Return the policy of that name.

        Raises:
            UsageError: There is no such policy.
        """
        return chosen(cls, name, called="gain control")


@dataclass(frozen=True)
class KelvinSpan:
    """A span of temperatures, and what a radiometric camera's counts mean."""

    width_kelvin: float
    low_kelvin: float | None
    """None: the middle of the span follows the scene."""
    kelvin_per_count: float
    kelvin_offset: float

    @classmethod
    def of(
        cls, span: float | tuple[float, float] | None, kelvin_per_count: float | None, kelvin_offset: float
    ) -> KelvinSpan:
        """Return the span of `GainControl`'s options.

        Raises:
            UsageError: One is missing or makes no sense.
        """
        if span is None or kelvin_per_count is None:
            raise UsageError(
                "gain control 'span' needs span_kelvin and kelvin_per_count, for instance (283, 313) and "
                "0.01; the camera's manual says what a count is (FLIR TLinear: 0.01 K, or 0.04 K if older)"
            )
        if not kelvin_per_count > 0:
            raise UsageError(f"kelvin_per_count must be above 0, not {kelvin_per_count:g}")
        if isinstance(span, tuple):
            low, high = span
            width: float = high - low
        else:
            low, width = None, span
        if not 0 < width < float("inf"):
            raise UsageError(f"span_kelvin must be a width above 0, or (low, high) in order, not {span}")
        return cls(width, low, kelvin_per_count, kelvin_offset)

    @property
    def width_counts(self) -> float:
        return self.width_kelvin / self.kelvin_per_count

    @property
    def low_counts(self) -> float | None:
        if self.low_kelvin is None:
            return None
        return (self.low_kelvin - self.kelvin_offset) / self.kelvin_per_count
