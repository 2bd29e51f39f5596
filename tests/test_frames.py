from __future__ import annotations

import numpy as np
import pytest

from refusion import InputError
from refusion.frames import checked_frame, checked_pair


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ([[1, 2]], "must be a NumPy array, not list"),
        (np.zeros((4, 4, 2), np.uint8), r"not of shape \(4, 4, 2\)"),
        (np.zeros(4, np.uint8), r"not of shape \(4,\)"),
        (np.zeros((0, 4), np.uint8), "has no pixels"),
        (np.zeros((4, 4), np.uint16), "not uint16; map its range to 8 bits"),
        (np.zeros((4, 4), np.float32), r"not float32; convert it.*astype\(np.uint8\)"),
        (np.array([[1.0, np.nan], [np.inf, 0.0]]), "2 of its 4 values are NaN or infinite"),
        (np.zeros((4, 4), bool), "must be uint8"),
    ],
)
def test_what_is_no_frame_is_refused(frame: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        checked_frame(frame, "a")


def test_a_trailing_axis_of_one_is_gray() -> None:
    assert checked_frame(np.zeros((3, 5, 1), np.uint8), "a").shape == (3, 5)


def test_slices_are_frames_and_not_copied() -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    view = image[::-2, 1::2, ::-1]
    assert checked_frame(view, "a") is view


def test_different_sizes_are_refused_with_both_stated() -> None:
    with pytest.raises(InputError, match="a is 6x4, b is 4x6"):
        checked_pair(np.zeros((4, 6), np.uint8), np.zeros((6, 4, 3), np.uint8))
