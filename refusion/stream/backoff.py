"""How long to wait before the next try."""

from __future__ import annotations

import random

FIRST_S, LONGEST_S = 0.25, 2.0
_JITTER = 0.2


class Backoff:
    """Waits that double from 0.25 s to 2 s, each shortened by up to a fifth.

    The randomness keeps several clients of a server that restarts from coming all at once.
    """

    def __init__(self, *, seed: int | None = None) -> None:
        self._random = random.Random(seed)
        self._next_s = FIRST_S

    def next_s(self) -> float:
        """Return the wait before the next try, seconds."""
        wait_s = self._next_s * (1 - _JITTER * self._random.random())
        self._next_s = min(2 * self._next_s, LONGEST_S)
        return wait_s

    def reset(self) -> None:
        """Begin anew: the last try went well."""
        self._next_s = FIRST_S
