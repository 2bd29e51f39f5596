"""What pre- and post-processing mean, on values worked out by hand and on the official outputs."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from refusion import ops
from refusion.tasks import Chroma

pytestmark = pytest.mark.usefixtures("each_implementation")

GRAY = np.full((2, 3), 100, np.uint8)
"""Neutral source."""
ORANGE = np.broadcast_to(np.array([0, 128, 255], np.uint8), (2, 3, 3))
"""BGR; luma 0.587 * 128 + 0.299 * 255 = 151.381, Cr - t = 73.880, Cb - t = -85.379."""


def plane(value: float) -> np.ndarray:
    return np.full((2, 3), value, np.float32)


def test_preprocess_gives_unrounded_luma_of_both_sources():
    out = ops.preprocess(GRAY, ORANGE)
    assert out.shape == (2, 2, 3)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out[0], 100 / 255, rtol=0, atol=1e-6)
    np.testing.assert_allclose(out[1], 151.381 / 255, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("fused", "value_range", "expected"),
    [
        (0.0, None, 0),
        (1.0, None, 255),
        (0.4, None, 102),
        (-0.5, None, 0),
        (1.5, None, 255),
        (np.nan, None, 0),
        (np.inf, None, 255),
        (-np.inf, None, 0),
        (0.5, (0.25, 0.75), 128),
        (0.25, (0.25, 0.75), 0),
        (0.8, (0.25, 0.75), 255),
        (np.nan, (0.25, 0.75), 0),
        (0.4, (0.4, 0.4), 102),
        (0.4, (0.6, 0.2), 102),
        (0.4, (np.nan, 1.0), 102),
        (0.4, (0.0, np.inf), 102),
        (0.4, (0.0, 1e300), 102),
    ],
)
def test_luma_is_stretched_clipped_and_rounded_to_even(fused, value_range, expected):
    out = ops.postprocess(plane(fused), GRAY, GRAY, chroma=Chroma.NONE, value_range=value_range)
    assert out.shape == (2, 3)
    assert out.dtype == np.uint8
    assert np.unique(out).tolist() == [expected]


def test_a_shoulder_compresses_what_is_beyond_the_range():
    fused = np.linspace(0, 1, 1001, dtype=np.float32)[np.newaxis]
    source = np.zeros((1, 1001), np.uint8)
    out = ops.postprocess(fused, source, source, chroma=Chroma.NONE, value_range=(0.3, 0.6), shoulder=10)[0]
    assert (out[0], out[300], out[360], out[600], out[1000]) == (1, 10, 57, 245, 254)
    steps = np.diff(out.astype(int))
    assert steps.min() >= 0
    # Outside, ten levels at most; inside, a straight line.
    assert np.unique(out[:300]).tolist() == list(range(1, 11))
    assert np.unique(out[601:]).tolist() == list(range(245, 255))
    straight = 10 + 235 * (fused[0, 300:601] - 0.3) / 0.3
    assert np.abs(out[300:601] - straight).max() <= 0.51


@pytest.mark.parametrize("value_range", [(0.0, 1.0), (0.0, 0.6), (0.4, 1.0), (0.01, 0.99), (-1.0, 2.0)])
def test_a_shoulder_gives_no_end_more_levels_than_it_has(value_range):
    fused = np.linspace(0, 1, 2000, dtype=np.float32)[np.newaxis]
    source = np.zeros((1, 2000), np.uint8)
    plain = ops.postprocess(fused, source, source, chroma=Chroma.NONE).astype(int)
    soft = ops.postprocess(
        fused, source, source, chroma=Chroma.NONE, value_range=value_range, shoulder=10
    ).astype(int)
    low, high = value_range
    below, above = fused < low, fused > high
    assert (soft[below] <= np.maximum(plain[below], 10)).all()
    assert (soft[above] >= np.minimum(plain[above], 245)).all()
    assert (np.diff(soft) >= 0).all()
    assert (soft.min(), soft.max()) == (1, 254)
    if low <= 0 and high >= 1:
        inside = (plain >= 10) & (plain <= 245)
        np.testing.assert_array_equal(soft[inside], plain[inside])
        assert np.abs(soft - plain).max() == 1


@pytest.mark.parametrize(
    ("chroma", "a", "b"),
    [
        (Chroma.A, ORANGE, GRAY),
        (Chroma.B, GRAY, ORANGE),
        (Chroma.BOTH, ORANGE, ORANGE),
        (Chroma.BOTH, ORANGE, GRAY),
        (Chroma.BOTH, GRAY, ORANGE),
    ],
)
def test_chroma_is_that_of_the_source_with_colour(chroma, a, b):
    out = ops.postprocess(plane(0.5), a, b, chroma=chroma)
    # 127.5 + 1.773 Cb = -23.9; 127.5 - 0.714 Cr - 0.344 Cb = 104.1; 127.5 + 1.403 Cr = 231.2
    assert np.unique(out.reshape(-1, 3), axis=0).tolist() == [[0, 104, 231]]


def test_the_more_colourful_source_weighs_more():
    red, dull_green = (
        np.broadcast_to(np.array(c, np.uint8), (2, 3, 3)) for c in ([40, 40, 200], [90, 110, 90])
    )
    merged = ops.postprocess(plane(0.5), red, dull_green, chroma=Chroma.BOTH)
    alone = ops.postprocess(plane(0.5), red, dull_green, chroma=Chroma.A)
    # Cr - t: 79.97 of red, -8.37 of green; (79.97^2 - 8.37^2) / 88.34 = 71.60; red = 127.5 + 1.403 * 71.60
    assert merged[0, 0, 2] == 228
    assert alone[0, 0, 2] == 240


@pytest.mark.parametrize("chroma", [Chroma.A, Chroma.B, Chroma.BOTH])
@pytest.mark.parametrize("as_bgr", [False, True])
def test_gray_stays_neutral(chroma, as_bgr):
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    source = cv2.cvtColor(levels, cv2.COLOR_GRAY2BGR) if as_bgr else levels
    out = ops.postprocess((levels / np.float32(255)).astype(np.float32), source, source, chroma=chroma)
    np.testing.assert_array_equal(out, np.repeat(levels[..., None], 3, axis=2))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.25, 0.5, 0.75], (0.25, 0.75)),
        ([0.5], (0.5, 0.5)),
        ([np.nan, 0.5, np.inf, 0.25, -np.inf], (0.25, 0.5)),
        ([np.nan, np.inf], (0.0, 0.0)),
        ([-3.0, -1.0], (-3.0, -1.0)),
    ],
)
def test_value_range_is_that_of_the_finite_values(values, expected):
    assert ops.value_range(np.array([values], np.float32)) == expected


def test_is_gray_needs_three_equal_channels_at_every_pixel():
    image = np.full((7, 1500, 3), 9, np.uint8)
    assert ops.is_gray(image)
    assert ops.is_gray(image[..., 0])
    for channel in range(3):
        image[6, 1499, channel] += 1
        assert not ops.is_gray(image)
        image[6, 1499, channel] -= 1


@pytest.mark.parametrize("task", ["IVIF", "MIF", "MFIF", "MEIF"])
def test_official_pictures_come_out_of_the_official_raw_outputs(shared: Path, task: str):
    folder = shared / "reference" / "cases" / task
    pictures = sorted(folder.glob("output/*.png"))
    assert pictures
    for picture in pictures:
        stem = picture.stem.removesuffix("_rgb")
        a, b = (
            cv2.imread(str(next((folder / source).glob(f"{stem}.*"))), cv2.IMREAD_COLOR)
            for source in ("source1", "source2")
        )
        raw = np.load(folder / "output" / f"{stem}.npz")["raw"]
        expected = cv2.imread(str(picture), cv2.IMREAD_UNCHANGED)
        policy = Chroma.of(a_is_gray=ops.is_gray(a), b_is_gray=ops.is_gray(b))
        chroma = policy if expected.ndim == 3 else Chroma.NONE
        out = ops.postprocess(raw, a, b, chroma=chroma, value_range=ops.value_range(raw))
        assert np.abs(out.astype(int) - expected).max() <= 1, picture
