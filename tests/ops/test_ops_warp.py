"""Pre-processing through a warp, and warped pictures: against samples worked out in float64."""

from __future__ import annotations

import numpy as np
import pytest

from refusion import ops
from refusion.errors import InputError
from refusion.warp import Warp

pytestmark = pytest.mark.usefixtures("each_implementation")
random = np.random.default_rng(0)


def luma(image: np.ndarray) -> np.ndarray:
    return image.astype(np.float64) if image.ndim == 2 else image @ np.array([0.114, 0.587, 0.299])


def sampled(image: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Bilinear samples with the border repeated."""
    height, width = image.shape[:2]
    u, v = np.clip(places[..., 0], 0, width - 1), np.clip(places[..., 1], 0, height - 1)
    x0, y0 = np.floor(u).astype(int), np.floor(v).astype(int)
    x1, y1 = np.minimum(x0 + 1, width - 1), np.minimum(y0 + 1, height - 1)
    right, down = (share.reshape(*u.shape, *[1] * (image.ndim - 2)) for share in (u - x0, v - y0))
    top = image[y0, x0] * (1 - right) + image[y0, x1] * right
    bottom = image[y1, x0] * (1 - right) + image[y1, x1] * right
    return top * (1 - down) + bottom * down


def pixels_of(size: tuple[int, int]) -> np.ndarray:
    return np.stack(np.meshgrid(np.arange(size[0]), np.arange(size[1])), axis=-1).astype(np.float64)


def source(size: tuple[int, int], channels: tuple[int, ...]) -> np.ndarray:
    return random.integers(0, 256, (size[1], size[0], *channels), np.uint8)


def rotated(pixels: np.ndarray) -> np.ndarray:
    """Shrinks to a quarter and turns by 3 degrees: all of a 20x14 output is inside of a 40x30 source."""
    turn = np.deg2rad(3.0)
    matrix = 0.25 * np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    return pixels @ matrix + [12.0, 12.0]


@pytest.mark.parametrize("channels_a", [(), (3,)])
@pytest.mark.parametrize("channels_b", [(), (3,)])
def test_a_shows_bilinear_samples_and_b_stays(channels_a, channels_b):
    a, b = source((40, 30), channels_a), source((80, 56), channels_b)
    out = ops.preprocess(a, b, warp=Warp.of(rotated, size=(80, 56), source_size=(40, 30)))
    expected = sampled(luma(a), rotated(pixels_of((80, 56)))) / 255
    np.testing.assert_allclose(out[0], expected, rtol=0, atol=2e-5)
    np.testing.assert_allclose(out[1], luma(b) / 255, rtol=0, atol=1e-6)


def test_the_identity_changes_nothing():
    a, b = source((37, 21), ()), source((37, 21), (3,))
    out = ops.preprocess(a, b, warp=Warp.of(lambda pixels: pixels, size=(37, 21), source_size=(37, 21)))
    np.testing.assert_allclose(out, ops.preprocess(a, b), rtol=0, atol=1e-6)


def test_outside_of_a_the_other_stands_in_and_no_seam_shows():
    a, b = np.full((12, 30), 255, np.uint8), np.zeros((12, 30), np.uint8)
    shifted = Warp.of(lambda pixels: pixels - (10.5, 0), size=(30, 12), source_size=(30, 12))
    row = ops.preprocess(a, b, warp=shifted)[0, 6]
    # Half a pixel outside and beyond nothing of a; from there on, a quarter more with each pixel.
    expected = [0.0] * 11 + [0.25, 0.5, 0.75] + [1.0] * 16
    np.testing.assert_allclose(row, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -1e30, 1e9])
def test_where_a_is_not_seen_both_planes_are_that_of_b(value):
    a, b = source((9, 7), (3,)), source((40, 33), (3,))
    nowhere = Warp.of(lambda pixels: np.full_like(pixels, value), size=(40, 33), source_size=(9, 7))
    out = ops.preprocess(a, b, warp=nowhere)
    np.testing.assert_array_equal(out[0], out[1])
    assert not ops.warped(a, nowhere).any()


def test_half_a_pixel_outside_the_border_is_repeated():
    a = np.array([[10, 20]], np.uint8)
    enlarged = Warp.of(lambda pixels: (pixels + 0.5) * [0.1, 0.1] - 0.5, size=(20, 10), source_size=(2, 1))
    out = ops.preprocess(a, np.zeros((10, 20), np.uint8), warp=enlarged)
    assert out[0, 0, :5] * 255 == pytest.approx(10)
    assert out[0, 9, -5:] * 255 == pytest.approx(20)
    assert out[0, 4, 10] * 255 == pytest.approx(15.5)


@pytest.mark.parametrize("channels", [(), (3,)])
def test_pictures_are_warped_with_black_around_them(channels):
    image = source((40, 30), channels)

    def places(pixels: np.ndarray) -> np.ndarray:
        return pixels * 0.5 + [-5.25, 4.3]

    out = ops.warped(image, Warp.of(places, size=(100, 70), source_size=(40, 30)))
    assert out.shape == (70, 100, *channels)
    assert out.dtype == np.uint8
    at = places(pixels_of((100, 70)))
    is_inside = ((at > -0.5) & (at < [39.5, 29.5])).all(axis=-1)
    assert 0 < np.count_nonzero(is_inside) < is_inside.size
    samples = sampled(image.astype(np.float64), at)
    assert np.abs(out[is_inside] - samples[is_inside]).max() <= 0.501
    assert not out[~is_inside].any()


def warp_of_sizes(size: tuple[int, int], source_size: tuple[int, int]) -> Warp:
    return Warp.of(lambda pixels: pixels, size=size, source_size=source_size)


GRAY = np.zeros((4, 6), np.uint8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: ops.preprocess(GRAY, GRAY, warp=warp_of_sizes((6, 4), (8, 5))),
            "source a is 6x4, but the warp is for 8x5: make a warp for the size of these frames",
        ),
        (
            lambda: ops.preprocess(GRAY, GRAY, warp=warp_of_sizes((4, 6), (6, 4))),
            "source b is 6x4, but the warp is for 4x6",
        ),
        (
            lambda: ops.warped(GRAY, warp_of_sizes((6, 4), (4, 6))),
            "source image is 6x4, but the warp is for 4x6",
        ),
        (
            lambda: ops.warped(GRAY.astype(float), warp_of_sizes((6, 4), (6, 4))),
            "source image must be uint8",
        ),
    ],
)
def test_sizes_that_do_not_fit_the_warp_are_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
