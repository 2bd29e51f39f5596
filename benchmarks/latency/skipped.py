"""What was left out, and why: a table without a row must say so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Skipped:
    """Something that could not be measured here."""

    what: str
    size: tuple[int, int] | None
    reason: str

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return {"what": self.what, "size": None if self.size is None else list(self.size), "why": self.reason}
