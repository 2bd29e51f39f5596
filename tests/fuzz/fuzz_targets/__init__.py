"""The parsers of outside data, for fuzzing."""

from __future__ import annotations

from . import addresses, documents, pictures, viewer, weights
from .target import Target

__all__ = ["TARGETS", "Target"]

TARGETS: dict[str, Target] = {
    target.name: target
    for module in (pictures, documents, weights, addresses, viewer)
    for target in module.TARGETS
}
