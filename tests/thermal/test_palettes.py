from __future__ import annotations

import cv2
import numpy as np
import pytest

from refusion.errors import UsageError
from refusion.thermal import Palette

RAMP = np.tile(np.arange(256, dtype=np.uint8), (3, 1))


@pytest.mark.parametrize("palette", Palette)
def test_every_level_has_a_colour_of_its_own(palette: Palette) -> None:
    picture = palette.apply(RAMP)
    assert (picture.shape, picture.dtype) == ((3, 256, 3), np.uint8)
    np.testing.assert_array_equal(picture[1], palette.table)
    # A few neighbours may share a colour, at the dark end.
    assert len(np.unique(palette.table, axis=0)) > 240


def test_gray_palettes() -> None:
    np.testing.assert_array_equal(Palette.white_hot.apply(RAMP), cv2.cvtColor(RAMP, cv2.COLOR_GRAY2BGR))
    black_hot = cv2.cvtColor(255 - RAMP, cv2.COLOR_GRAY2BGR)
    np.testing.assert_array_equal(Palette.black_hot.apply(RAMP), black_hot)


@pytest.mark.parametrize("palette", [Palette.ironbow, Palette.inferno])
def test_warmer_is_lighter(palette: Palette) -> None:
    lightness = cv2.cvtColor(palette.table[np.newaxis], cv2.COLOR_BGR2Lab)[0, :, 0].astype(int)
    assert (np.diff(lightness) >= -1).all()
    assert (lightness[0], lightness[-1] > 245) == (0, True)


def test_rainbow_goes_from_blue_to_red() -> None:
    blue, _, red = Palette.rainbow.table[[30, 230]].astype(int).T
    assert blue[0] > red[0]
    assert red[1] > blue[1]


def test_palettes_go_by_their_names() -> None:
    assert Palette.parse("white-hot") is Palette.white_hot
    with pytest.raises(UsageError, match="no palette 'lava'; choose one of white-hot, black-hot, ironbow"):
        Palette.parse("lava")
