"""Flicker: changes of a sequence's overall brightness from frame to frame."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refusion.errors import InputError
from refusion.frames import Frame
from refusion.metrics.planes import gray, gray_planes


@dataclass(frozen=True)
class Flicker:
    """Flicker of a fused sequence beside that of its sources, in gray levels a frame."""

    fused: float
    a: float
    b: float

    @property
    def excess(self) -> float:
        """What fusion added: the fused sequence's flicker minus the mean of both sources'.

        Negative if the result is steadier than its sources.
        """
        return self.fused - (self.a + self.b) / 2


def flicker(frames: Iterable[Frame]) -> float:
    """Mean over time of the absolute change of the frame's mean gray level, in gray levels a frame.

    Args:
        frames: The sequence in order, read once; colour frames by their luma.

    Raises:
        InputError: There are fewer than two frames.
    """
    return float(_mean_change([_level(gray(frame)) for frame in frames]))


def compare_flicker(moments: Iterable[tuple[Frame, Frame, Frame]]) -> Flicker:
    """Measure the flicker of a fused sequence and of both its sources.

    Args:
        moments: (fused, a, b) of each moment, in order, read once; colour frames by their luma.

    Raises:
        InputError: There are fewer than two moments, or the frames of one differ in size.
    """
    levels = [[_level(plane) for plane in gray_planes(*moment)] for moment in moments]
    fused, a, b = _mean_change(levels).tolist()
    return Flicker(fused, a, b)


def _level(plane: NDArray[np.uint8]) -> float:
    return float(np.mean(plane, dtype=np.float64))


def _mean_change(levels: list[float] | list[list[float]]) -> NDArray[np.float64]:
    if len(levels) < 2:
        raise InputError(f"flicker needs at least two frames, the sequence has {len(levels)}")
    return np.asarray(np.mean(np.abs(np.diff(levels, axis=0)), axis=0), np.float64)
