"""Fields of requests: checked values, or one line that says what was expected."""

from __future__ import annotations

import json
from typing import Any

from refusion.errors import InputError
from refusion.stream.rendering import View, ViewSettings
from refusion.thermal import Palette


class Fields:
    """The JSON object of a request; every value is asked for by name and kind."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    @classmethod
    def parse(cls, body: bytes) -> Fields:
        """Read a JSON object.

        Raises:
            InputError: It is none.
        """
        try:
            values = json.loads(body)
        except (ValueError, RecursionError):
            raise InputError("the request's body must be JSON, and is not") from None
        if not isinstance(values, dict):
            raise InputError(f"the request's body must be a JSON object, not {_kind(values)}")
        return cls(values)

    def text(self, name: str) -> str:
        """Return a string."""
        value = self._value(name)
        if not isinstance(value, str):
            raise InputError(f"'{name}' must be a string, not {_kind(value)}")
        return value

    def flag(self, name: str) -> bool:
        """Return true or false."""
        value = self._value(name)
        if not isinstance(value, bool):
            raise InputError(f"'{name}' must be true or false, not {_kind(value)}")
        return value

    def number(self, name: str, *, low: float, high: float, default: float) -> float:
        """Return a number from low to high."""
        return _number(self._values.get(name, default), f"'{name}'", low, high)

    def optional_number(self, name: str, *, low: float, high: float) -> float | None:
        """Return a number from low to high, or None where it is missing."""
        value = self._values.get(name)
        return None if value is None else _number(value, f"'{name}'", low, high)

    def points(self, name: str, *, most: int) -> list[tuple[float, float]]:
        """Return a list of (x, y), pixels."""
        value = self._value(name)
        if not isinstance(value, list) or len(value) > most:
            raise InputError(f"'{name}' must be a list of at most {most} points [x, y]")
        for point in value:
            if not isinstance(point, list) or len(point) != 2:
                raise InputError(f"each point of '{name}' must be [x, y]")
        return [
            (_number(x, f"x of '{name}'", -1e5, 1e5), _number(y, f"y of '{name}'", -1e5, 1e5))
            for x, y in value
        ]

    def view_settings(self) -> ViewSettings:
        """Return what shall be shown: view, palette and blend; those that are missing are as at the start."""
        start = ViewSettings()
        view = self.text("view") if "view" in self._values else start.view.name
        palette = self.text("palette") if "palette" in self._values else start.palette.value
        # Steps of a slider: each value that is in use costs one encode.
        blend = round(self.number("blend", low=0, high=1, default=start.blend), 2)
        parsed = View.parse(view)
        return ViewSettings(parsed, Palette.parse(palette), blend if parsed is View.blend else start.blend)

    def _value(self, name: str) -> Any:
        if name not in self._values:
            raise InputError(f"the request lacks '{name}'")
        return self._values[name]


def _number(value: Any, name: str, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError(f"{name} must be a number, not {_kind(value)}")
    # Compared first: isfinite and :g fail on an int past the largest float.
    if not low <= value <= high:
        raise InputError(f"{name} must be from {low:g} to {high:g}, not {_shown(value)}")
    return float(value)


def _shown(value: float) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 20 else f"{text[:17]}..."


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return kinds.get(type(value), "a number")
