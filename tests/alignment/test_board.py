"""Calibration from a board: rendered views through known lenses, contrast inverted in infrared."""

from __future__ import annotations

import re

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from refusion.alignment import Board, CalibrationMethod, Lens, calibrate_from_board
from refusion.alignment.board import Pattern
from refusion.alignment.geometry import mapped, resized, similarity
from refusion.errors import InputError, UsageError

INFRARED, VISIBLE = (160, 120), (640, 480)
VISIBLE_LENS = Lens(np.array([[560.0, 0, 319.5], [0, 560, 239.5], [0, 0, 1]]), np.array([-0.25, 0.06, 0, 0]))
TO_INFRARED = resized(VISIBLE, INFRARED) @ similarity(
    (320, 240), scale=1.1, rotation_deg=2, offset_px=(12, -7)
)
"""From undistorted visible to undistorted infrared pixels."""
BOARD, CIRCLES = Board(9, 6), Board(4, 11, Pattern.circles)
COMMON = np.array([[150.0, 120.0], [500.0, 120.0], [480.0, 370.0], [160.0, 350.0], [320.0, 240.0]])


def artwork(board: Board) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Return a picture of the board, and the map from millimetres on it to the picture's pixels."""
    unit = 20
    columns, rows = (
        (2 * board.columns + 2, board.rows + 1) if board is CIRCLES else (board.columns + 3, board.rows + 3)
    )
    picture = np.full((unit * (rows + 2), unit * (columns + 2)), 235, np.uint8)
    to_pixels = np.array([[unit / 25, 0, 2 * unit], [0, unit / 25, 2 * unit], [0, 0, 1.0]])
    if board is CIRCLES:
        for x, y in mapped(to_pixels, board.places_mm()[:, :2].astype(float)):
            cv2.circle(picture, (round(x), round(y)), 6, 20, -1, cv2.LINE_AA)
    else:
        # Corners lie between pixels; OpenCV counts from the middles of pixels.
        for row in range(-1, board.rows):
            for column in range(-1, board.columns):
                if (row + column) % 2 == 0:
                    top, left = (row + 2) * unit, (column + 2) * unit
                    picture[top : top + unit, left : left + unit] = 20
        to_pixels[:2, 2] -= 0.5
    return picture, to_pixels


def straightened(pixels: NDArray[np.float64], lens: Lens) -> NDArray[np.float64]:
    """Return what lens.undistorted does, by OpenCV: quicker, and exact enough for a mild lens."""
    matrix = lens.camera_matrix
    return cv2.undistortPoints(pixels.reshape(-1, 1, 2), matrix, lens.distortion, P=matrix).reshape(-1, 2)


def seen(
    board: Board, tilt: tuple[float, float, float], at: tuple[float, float], distance_mm: float
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return what infrared, with inverted contrast, and visible see of a board in space."""
    picture, to_pixels = artwork(board)
    turn, _ = cv2.Rodrigues(np.array(tilt, np.float64))
    middle = board.places_mm().mean(axis=0)
    place = np.column_stack([turn[:, :2], np.array([*at, distance_mm]) - turn @ middle])
    to_visible = VISIBLE_LENS.camera_matrix @ place
    views = []
    for size, onto, lens in ((INFRARED, TO_INFRARED @ to_visible, None), (VISIBLE, to_visible, VISIBLE_LENS)):
        fine = 2  # samples a pixel and side
        x, y = np.meshgrid(*((np.arange(side * fine) + 0.5) / fine - 0.5 for side in size))
        pixels = np.column_stack([x.ravel(), y.ravel()])
        ideal = straightened(pixels, lens) if lens else pixels
        source = mapped(to_pixels @ np.linalg.inv(onto), ideal).astype(np.float32).reshape(*x.shape, 2)
        view = cv2.remap(picture, source[..., 0], source[..., 1], cv2.INTER_LINEAR, borderValue=150)
        views.append(cv2.resize(view, size, interpolation=cv2.INTER_AREA))
    infrared, visible = views
    return (200 - 0.5 * infrared).astype(np.uint8), cv2.cvtColor(visible, cv2.COLOR_GRAY2BGR)


def test_one_view_of_a_chessboard_gives_the_map_about_it() -> None:
    calibration = calibrate_from_board([seen(BOARD, (0.1, -0.1, 0.05), (0, 0), 420)], BOARD)
    assert calibration.method is CalibrationMethod.board
    assert calibration.visible_lens is None
    middle = COMMON[-1:]
    expected = mapped(TO_INFRARED, VISIBLE_LENS.undistorted(middle))
    assert np.hypot(*(calibration.places(middle) - expected).T) < 0.5
    assert calibration.residual_px is not None
    assert calibration.residual_px < 2


def test_many_views_give_the_lenses_too() -> None:
    tilts = [(0.3, 0.1, 0), (-0.3, 0.1, 0.1), (0.1, 0.4, 0), (0.1, -0.4, -0.1), (0, 0, 0), (0.3, 0.3, 0.1)]
    places = [(-60.0, -40.0), (60.0, -40.0), (-60.0, 40.0), (60.0, 40.0), (0.0, 0.0), (20.0, -20.0)]
    pairs = [seen(BOARD, tilt, at, 430) for tilt, at in zip(tilts, places, strict=True)]
    pairs += [seen(BOARD, tilt, at, 400) for tilt, at in zip(tilts[:4], places[1:5], strict=True)]
    straight = calibrate_from_board(pairs, BOARD, estimate_lenses=False)
    bent = calibrate_from_board(pairs, BOARD)
    assert bent.visible_lens is not None
    assert straight.residual_px is not None
    assert bent.residual_px is not None
    assert bent.residual_px < 0.8 * straight.residual_px
    expected = mapped(TO_INFRARED, VISIBLE_LENS.undistorted(COMMON))
    assert np.hypot(*(bent.places(COMMON) - expected).T).max() < 0.5


def test_circles_are_found_in_inverted_infrared() -> None:
    infrared, visible = seen(CIRCLES, (0.05, 0.1, 0), (0, 0), 420)
    calibration = calibrate_from_board([(infrared, visible)], CIRCLES)
    middle = COMMON[-1:]
    expected = mapped(TO_INFRARED, VISIBLE_LENS.undistorted(middle))
    assert np.hypot(*(calibration.places(middle) - expected).T) < 0.6


def test_what_is_no_board_or_shows_none_is_refused() -> None:
    infrared, visible = seen(BOARD, (0, 0, 0), (0, 0), 420)
    blank = np.full_like(infrared, 90)
    with pytest.raises(
        InputError,
        match="no pair shows the 9x6 chessboard to both cameras: of 2, infrared shows it in 0, visible in 2",
    ):
        calibrate_from_board([(blank, visible), (blank, visible)], BOARD)
    with pytest.raises(InputError, match="the visible frames differ in size: 640x480 and 320x240"):
        calibrate_from_board([(infrared, visible), (infrared, visible[::2, ::2])], BOARD)
    with pytest.raises(InputError, match="needs at least one pair"):
        calibrate_from_board([], BOARD)


@pytest.mark.parametrize("text", ["9", "9x", "2x6", "hexagons:4x4", "axb", "9x6x2"])
def test_other_boards_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match=re.escape(f"not '{text}'")):
        Board.parse(text)


def test_boards_are_read_from_text() -> None:
    assert Board.parse("9x6") == BOARD
    assert Board.parse("circles:4x11", square_mm=30) == Board(4, 11, Pattern.circles, 30)
