"""Y16 as capture libraries give it."""

from __future__ import annotations

import numpy as np
import pytest

from refusion.errors import InputError
from refusion.thermal import y16

SIZE = (160, 120)
COUNTS = np.random.default_rng(0).integers(0, 1 << 14, (120, 160), dtype=np.uint16)
LITTLE = COUNTS.astype("<u2").view(np.uint8)
BIG = COUNTS.astype(">u2").view(np.uint8)


@pytest.mark.parametrize(
    "array",
    [
        COUNTS,
        COUNTS[..., np.newaxis],
        COUNTS.reshape(1, -1),
        COUNTS.reshape(-1),
        COUNTS.astype(">u2"),
        np.asfortranarray(COUNTS),
        LITTLE,
        LITTLE.reshape(120, 160, 2),
        LITTLE.reshape(1, -1),
        LITTLE.reshape(-1),
    ],
    ids=lambda array: f"{array.dtype}-{array.shape}",
)
def test_every_form_gives_the_picture(array: np.ndarray) -> None:
    picture = y16.repaired(array, SIZE)
    assert picture.dtype == np.uint16
    assert picture.dtype.isnative
    np.testing.assert_array_equal(picture, COUNTS)


@pytest.mark.parametrize("array", [BIG, BIG.reshape(1, -1), BIG.reshape(120, 160, 2), COUNTS.byteswap()])
def test_big_endian(array: np.ndarray) -> None:
    np.testing.assert_array_equal(y16.repaired(array, SIZE, big_endian=True), COUNTS)


def test_a_picture_that_needs_no_repair_is_not_copied() -> None:
    assert np.shares_memory(y16.repaired(COUNTS, SIZE), COUNTS)


@pytest.mark.parametrize("rows", [1, 2, 4])
@pytest.mark.parametrize("as_bytes", [False, True])
def test_telemetry_rows_are_cut(rows: int, as_bytes: bool) -> None:
    telemetry = np.full((rows, 160), 0xABCD, np.uint16)
    footer, header = np.vstack([COUNTS, telemetry]), np.vstack([telemetry, COUNTS])
    if as_bytes:
        footer, header = footer.view(np.uint8).reshape(1, -1), header.view(np.uint8)
    np.testing.assert_array_equal(y16.repaired(footer, SIZE), COUNTS)
    np.testing.assert_array_equal(y16.repaired(header, SIZE, telemetry_first=True), COUNTS)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (COUNTS.T, r"has 19200 pixels in 120 rows, .*; found uint16 \(160, 120\)"),
        (COUNTS[:-1], r"found uint16 \(119, 160\): state the size that the camera sends"),
        (np.zeros((125, 160), np.uint16), r"at most 4 rows of telemetry; found uint16 \(125, 160\)"),
        (np.zeros((1, 38401), np.uint8), r"found uint8 \(1, 38401\)"),
        (
            np.zeros((120, 160), np.uint8),
            r"has 38400 bytes, found uint8 \(120, 160\): that is 8 bits a pixel",
        ),
        (np.zeros((120, 160), np.float32), r"must be uint16, or uint8 in pairs of bytes, not float32"),
        (np.zeros((120, 160), np.int16), r"not int16 \(120, 160\)"),
        (np.zeros((0, 160), np.uint16), r"found uint16 \(0, 160\)"),
        ([1, 2], r"must be a NumPy array, not list"),
    ],
)
def test_what_does_not_fit_is_refused(array: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        y16.repaired(array, SIZE)
