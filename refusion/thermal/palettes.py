"""Palettes: colours for a gray thermal picture, for display only. Fusion always works on the gray picture."""

from __future__ import annotations

import enum
import functools
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from refusion.choices import chosen
from refusion.frames import Frame

_IRONBOW = (
    (0.00, (0, 0, 0)),
    (0.14, (32, 0, 118)),
    (0.32, (122, 0, 158)),
    (0.50, (206, 40, 100)),
    (0.66, (240, 112, 16)),
    (0.82, (254, 186, 16)),
    (0.93, (255, 236, 116)),
    (1.00, (255, 255, 248)),
)
"""Colours (RGB) along the scale: those of heated iron, lightness rising throughout."""


class Palette(enum.Enum):
    """What colour each gray level is shown in; the value is the palette's name."""

    white_hot = "white-hot"
    """Gray as it is: warm is bright."""
    black_hot = "black-hot"
    """Gray reversed: warm is dark."""
    ironbow = "ironbow"
    """Black, violet, orange, yellow, white."""
    inferno = "inferno"
    """As ironbow, with even steps to the eye: matplotlib's."""
    rainbow = "rainbow"
    """Blue is cold, red is warm: Google's Turbo, without the false bands of a plain rainbow."""

    @classmethod
    def parse(cls, name: str | Palette) -> Palette:
        """Return the palette of that name.

        Raises:
            UsageError: There is no such palette.
        """
        return chosen(cls, name, called="palette")

    @property
    def table(self) -> NDArray[np.uint8]:
        """Return the colour of each level, uint8 (256, 3) BGR, read-only."""
        return _table(self)

    def apply(self, gray: NDArray[np.uint8]) -> Frame:
        """Return a gray picture, uint8 (H, W), in colour: uint8 (H, W, 3) BGR."""
        if self is Palette.white_hot:
            return cast(Frame, cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR))
        return cast(Frame, cv2.applyColorMap(gray, self.table[:, np.newaxis]))


@functools.cache
def _table(palette: Palette) -> NDArray[np.uint8]:
    gray = np.arange(256, dtype=np.uint8)
    match palette:
        case Palette.white_hot:
            table = np.repeat(gray[:, np.newaxis], 3, axis=1)
        case Palette.black_hot:
            table = np.repeat(gray[::-1, np.newaxis], 3, axis=1)
        case Palette.ironbow:
            table = _interpolated(_IRONBOW)
        case Palette.inferno:
            table = _of_opencv(gray, cv2.COLORMAP_INFERNO)
        case Palette.rainbow:
            table = _of_opencv(gray, cv2.COLORMAP_TURBO)
    table.flags.writeable = False
    return table


def _of_opencv(gray: NDArray[np.uint8], name: int) -> NDArray[np.uint8]:
    return np.array(cv2.applyColorMap(gray[:, np.newaxis], name)[:, 0], np.uint8)


def _interpolated(stops: tuple[tuple[float, tuple[int, int, int]], ...]) -> NDArray[np.uint8]:
    places, colours = [place for place, _ in stops], np.array([colour for _, colour in stops])
    levels = np.linspace(0, 1, 256)
    channels = [np.interp(levels, places, colours[:, channel]) for channel in (2, 1, 0)]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)
