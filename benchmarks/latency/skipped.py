"""What was left out, and why: a table without a row must say so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from refusion.errors import RefusionError


@dataclass(frozen=True)
class Skipped:
    """Something that could not be measured here."""

    what: str
    size: tuple[int, int] | None
    reason: str

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return {"what": self.what, "size": None if self.size is None else list(self.size), "why": self.reason}


@contextmanager
def noted(skipped: list[Skipped], what: str, size: tuple[int, int] | None) -> Iterator[None]:
    """Note what cannot run in the block, and go on after it."""
    try:
        yield
    except RefusionError as error:
        skipped.append(Skipped(what, size, str(error)))
