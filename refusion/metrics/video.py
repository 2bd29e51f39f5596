"""Steadiness of a sequence: changes of its overall brightness, and what is cut off at the ends."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refusion.errors import InputError
from refusion.frames import Frame, checked_pair
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


def clipped_pixels(fused: Frame, *references: Frame) -> int:
    """Count the pixels that are black or white in the fused picture and in none of the references.

    Measured against both sources, this counts what fusion lost at the ends of the scale, be it by the network
    or by the output range; with the network's unstretched picture as a third reference, by the range alone.

    Args:
        fused: The picture; of colour, the luma counts.
        references: Pictures of the same size that may be black or white in the same places: at 0, or at 255.

    Raises:
        InputError: The pictures differ in size.
    """
    plane = gray(fused)
    black, white = plane == 0, plane == 255
    for reference in references:
        _, other = checked_pair(fused, reference)
        level = gray(other)
        black &= level != 0
        white &= level != 255
    return int(np.count_nonzero(black | white))


def _level(plane: NDArray[np.uint8]) -> float:
    return float(np.mean(plane, dtype=np.float64))


def _mean_change(levels: list[float] | list[list[float]]) -> NDArray[np.float64]:
    if len(levels) < 2:
        raise InputError(f"flicker needs at least two frames, the sequence has {len(levels)}")
    return np.asarray(np.mean(np.abs(np.diff(levels, axis=0)), axis=0), np.float64)
