"""Bounds of YAML that comes from outside: PyYAML takes any time and any memory for text that asks for it."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path

from refusion.errors import InputError

LARGEST_CHARACTERS = 1 << 18
"""Ours have a few thousand."""
DEEPEST = 32
"""Brackets within brackets. The scanner's time grows with the square of that: 3000 of them took it 20 s."""


def refuse_excessive_yaml(path: Path, text: str) -> None:
    """Raise InputError if text of a file is longer, or nested more deeply, than any that is meant well."""
    if len(text) > LARGEST_CHARACTERS:
        raise InputError(f"{path} has {len(text)} characters; such a file has at most {LARGEST_CHARACTERS}")
    steps = ((character in "[{") - (character in "]}") for character in text)
    if max(accumulate(steps), default=0) > DEEPEST:
        raise InputError(f"{path} has brackets nested more than {DEEPEST} deep, and is no file of ours")
