"""A thermal camera to test with."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Camera:
    """A thermal camera that looks at a room: 160x120, sensor noise, an offset of its own."""

    rate_hz: float = 9.0
    noise: float = 4.0
    level: float = 7300.0
    offset: float = 0.0
    index: int = 0
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    @property
    def time_ns(self) -> int:
        """Time of the frame taken last."""
        return round((self.index - 1) * 1e9 / self.rate_hz)

    @staticmethod
    @functools.cache
    def _room() -> np.ndarray:
        y, x = np.mgrid[:120, :160]
        room = 120 * np.sin(x / 25) + 90 * np.cos(y / 18)
        room[30:90, 60:84] += 260.0  # a person
        return room

    def scene(self) -> np.ndarray:
        """Return what it looks at, in counts."""
        return self._room() + self.level

    def frame(self, scene: np.ndarray | None = None) -> np.ndarray:
        """Take a frame, uint16."""
        self.index += 1
        seen = (self.scene() if scene is None else scene) + self.offset
        noisy = seen + self.rng.normal(0, self.noise, seen.shape)
        return np.clip(np.rint(noisy), 0, 65535).astype(np.uint16)
