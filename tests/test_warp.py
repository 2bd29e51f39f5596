"""Warps: which places their lattice gives, and where a source fades out."""

from __future__ import annotations

import numpy as np
import pytest

from refusion.errors import InputError
from refusion.warp import FadeBox, Warp, lattice_shape

SIZES = [(1, 1), (8, 8), (9, 9), (17, 5), (640, 480), (641, 3)]


def all_places(warp: Warp) -> np.ndarray:
    width, height = warp.size
    return warp.places_of(np.arange(width), np.arange(height))


@pytest.mark.parametrize("size", SIZES)
def test_an_affine_map_is_kept_exactly(size):
    warp = Warp.of(lambda pixels: pixels * 0.25 + [3.0, -7.5], size=size, source_size=(160, 120))
    places = all_places(warp)
    assert places.shape == (size[1], size[0], 2)
    assert places.dtype == np.float32
    y, x = np.mgrid[: size[1], : size[0]]
    np.testing.assert_array_equal(places, np.stack([x * 0.25 + 3.0, y * 0.25 - 7.5], axis=-1))


def test_a_wide_angle_lens_is_kept_to_a_fiftieth_of_a_pixel():
    centre = np.array([319.5, 239.5])

    def places(pixels):
        offset = pixels - centre
        return centre + offset * (1 + 8e-7 * (offset**2).sum(axis=1, keepdims=True))

    warp = Warp.of(places, size=(640, 480), source_size=(640, 480))
    y, x = np.mgrid[:480, :640]
    exact = places(np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float64)).reshape(480, 640, 2)
    assert np.abs(all_places(warp) - exact).max() < 0.02


def test_places_beyond_the_horizon_are_no_numbers():
    matrix = np.array([[1, 0, 0], [0, 1, 0], [0, -1 / 20, 1]], np.float64)
    places = all_places(Warp.of_homography(matrix, size=(30, 40), source_size=(30, 40)))
    assert np.isfinite(places[:16]).all()
    assert not np.isfinite(places[16:]).any()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_node_that_is_not_finite_spoils_the_cells_around_it(value):
    nodes = np.zeros((*lattice_shape((33, 33)), 2), np.float32)
    nodes[2, 2] = value
    is_spoiled = ~np.isfinite(all_places(Warp(nodes, (33, 33), (4, 4)))).all(axis=-1)
    assert is_spoiled[8:24, 8:24].all()
    assert np.count_nonzero(is_spoiled) == 16 * 16


def shifted(by: tuple[float, float], size: tuple[int, int] = (20, 12)) -> Warp:
    return Warp.of(lambda pixels: pixels + by, size=size, source_size=(20, 12))


@pytest.mark.parametrize(
    ("warp", "box"),
    [
        (shifted((0, 0)), FadeBox(-4.5, -4.5, 23.5, 15.5)),
        (shifted((-0.5, 0.5)), FadeBox(-4.5, -4.5, 23.5, 15.5)),
        (shifted((-0.75, 0)), FadeBox(-0.5, -4.5, 23.5, 15.5)),
        (shifted((0, -0.75)), FadeBox(-4.5, -0.5, 23.5, 15.5)),
        (shifted((0.75, 0)), FadeBox(-4.5, -4.5, 19.5, 15.5)),
        (shifted((0, 0.75)), FadeBox(-4.5, -4.5, 23.5, 11.5)),
        (shifted((-9, -9), (90, 90)), FadeBox(-0.5, -0.5, 19.5, 11.5)),
        # Nodes lie beyond the last pixels, and do not count.
        (shifted((0, 0), (20, 9)), FadeBox(-4.5, -4.5, 23.5, 15.5)),
    ],
)
def test_a_source_fades_where_the_output_sees_its_border(warp, box):
    assert warp.fade_box == box


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (np.zeros((2, 3, 2), np.float32), r"the nodes of a warp to 20x12 must be float32 \(3, 4, 2\)"),
        (np.zeros((3, 4, 2)), r"must be float32 \(3, 4, 2\), not float64 \(3, 4, 2\)"),
    ],
)
def test_a_lattice_that_does_not_span_the_output_is_refused(nodes, message):
    with pytest.raises(InputError, match=message):
        Warp(nodes, (20, 12), (4, 4))


def test_sizes_must_be_positive():
    with pytest.raises(InputError, match=r"a warp's sizes must be positive, not \(0, 3\) and \(4, 4\)"):
        Warp(np.zeros((1, 1, 2), np.float32), (0, 3), (4, 4))


def test_warps_differ_by_serial_and_keep_their_lattice():
    first, second = shifted((0, 0)), shifted((0, 0))
    assert first.serial != second.serial
    with pytest.raises(ValueError, match="read-only"):
        first.nodes[0, 0] = 1
