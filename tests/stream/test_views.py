"""The contact sheet: every frame in its place, under its label."""

from __future__ import annotations

import numpy as np
import pytest

from refusion.stream.views import BACKGROUND, GAP_PX, LABEL_HEIGHT_PX, TEXT, contact_sheet

COLOURS = [(10, 20, 30), (200, 0, 0), (0, 200, 0), (0, 0, 200), (90, 90, 90), (255, 255, 0)]


def test_frames_stand_in_rows_and_columns() -> None:
    frames = [np.full((30, 60, 3), colour, np.uint8) for colour in COLOURS]
    sheet = contact_sheet([frames[:3], frames[3:]], ("x", "y", "z"), tile_width_px=60)
    assert sheet.dtype == np.uint8
    assert sheet.shape == (LABEL_HEIGHT_PX + 2 * (30 + GAP_PX), 3 * (60 + GAP_PX), 3)
    for index, frame in enumerate(frames):
        row, column = divmod(index, 3)
        top, left = LABEL_HEIGHT_PX + row * (30 + GAP_PX), column * (60 + GAP_PX)
        np.testing.assert_array_equal(sheet[top : top + 30, left : left + 60], frame)
        assert (sheet[top + 30 : top + 30 + GAP_PX, left : left + 60] == BACKGROUND).all()
        assert (sheet[top : top + 30, left + 60 : left + 60 + GAP_PX] == BACKGROUND).all()


@pytest.mark.parametrize(
    ("width", "height", "tile_height"), [(60, 30, 20), (20, 10, 20), (37, 74, 80), (400, 1, 1)]
)
def test_tiles_have_one_width_and_keep_their_shape(width: int, height: int, tile_height: int) -> None:
    frame = np.full((height, width, 3), COLOURS[0], np.uint8)
    sheet = contact_sheet([[frame]], ("x",), tile_width_px=40)
    assert sheet.shape == (LABEL_HEIGHT_PX + tile_height + GAP_PX, 40 + GAP_PX, 3)
    assert (sheet[LABEL_HEIGHT_PX : LABEL_HEIGHT_PX + tile_height, :40] == COLOURS[0]).all()


def test_gray_frames_stay_gray_beside_colour() -> None:
    ramp = np.tile(np.arange(40, dtype=np.uint8) * 6, (20, 1))
    sheet = contact_sheet([[ramp, np.full((20, 40, 3), COLOURS[1], np.uint8)]], ("g", "c"), tile_width_px=40)
    tile = sheet[LABEL_HEIGHT_PX : LABEL_HEIGHT_PX + 20, :40]
    np.testing.assert_array_equal(tile, np.dstack([ramp] * 3))


def test_each_column_has_its_label() -> None:
    frame = np.zeros((20, 100, 3), np.uint8)
    sheet = contact_sheet([[frame, frame]], ("wide label", ""), tile_width_px=100)
    header = sheet[:LABEL_HEIGHT_PX]
    assert (header[:, :100] == TEXT).all(axis=2).any()
    assert (header[:, 100 + GAP_PX :] == BACKGROUND).all()


def test_the_frames_are_left_as_they_were() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    before = frame.copy()
    contact_sheet([[frame]], ("x",), tile_width_px=30)
    np.testing.assert_array_equal(frame, before)
