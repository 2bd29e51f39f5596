"""Flicker against values derived by hand."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from refusion.errors import InputError
from refusion.metrics import (
    SEQUENCE_METRICS,
    Direction,
    Flicker,
    clipped_pixels,
    compare_flicker,
    flicker,
)


def sequence(*levels: int) -> list[np.ndarray]:
    return [np.full((4, 6), level, np.uint8) for level in levels]


def moments(*levels: tuple[int, ...]) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    fused, a, b = (sequence(*values) for values in levels)
    return zip(fused, a, b, strict=True)


@pytest.mark.parametrize(
    ("levels", "expected"),
    [((10, 12, 11), 1.5), ((7, 7, 7, 7), 0.0), ((0, 255), 255.0), ((255, 0, 255), 255.0)],
)
def test_flicker(levels: tuple[int, ...], expected: float) -> None:
    assert flicker(sequence(*levels)) == expected


def test_only_the_mean_level_counts() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    assert flicker([frame, frame[::-1], frame.T]) == 0.0


def test_flicker_reads_an_iterator_of_colour_by_its_luma() -> None:
    red, blue = np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4, 3), np.uint8)
    red[..., 2] = 200  # luma 59.8, rounded 60
    blue[..., 0] = 200  # luma 22.8, rounded 23
    assert flicker(iter([red, blue])) == 37.0


def test_excess_is_over_the_mean_of_the_sources() -> None:
    result = compare_flicker(moments((10, 12, 11), (50, 50, 50), (10, 10, 12)))
    assert result == Flicker(fused=1.5, a=0.0, b=1.0)
    assert result.excess == 1.0


def test_a_sequence_steadier_than_its_sources_has_negative_excess() -> None:
    assert compare_flicker(moments((5, 5), (0, 2), (9, 3))).excess == -4.0


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_frames(count: int) -> None:
    with pytest.raises(InputError, match=f"at least two frames, the sequence has {count}"):
        flicker(sequence(10)[:count])
    with pytest.raises(InputError, match=f"at least two frames, the sequence has {count}"):
        compare_flicker([(frame, frame, frame) for frame in sequence(10)[:count]])


def test_frames_of_one_moment_must_have_one_size() -> None:
    small, large = np.zeros((4, 4), np.uint8), np.zeros((8, 4), np.uint8)
    with pytest.raises(InputError, match="the fused image is 4x8, its sources are 4x4"):
        compare_flicker([(large, small, small), (large, small, small)])


def test_clipped_pixels_are_those_at_an_end_where_no_reference_is() -> None:
    fused = np.array([[0, 0, 255, 255, 1, 254]], np.uint8)
    a = np.array([[0, 9, 255, 9, 0, 255]], np.uint8)
    b = np.array([[7, 255, 7, 0, 7, 7]], np.uint8)  # the other end excuses nothing
    assert clipped_pixels(fused) == 4
    assert clipped_pixels(fused, a) == 2
    assert clipped_pixels(fused, a, b) == 2
    assert clipped_pixels(fused, a, b, fused) == 0
    assert clipped_pixels(np.repeat(fused[..., np.newaxis], 3, axis=2), a, b) == 2


def test_clipped_pixels_needs_pictures_of_one_size() -> None:
    with pytest.raises(InputError, match="differ in size: a is 4x4, b is 4x8"):
        clipped_pixels(np.zeros((4, 4), np.uint8), np.zeros((8, 4), np.uint8))


def test_registry_says_that_excess_is_bad() -> None:
    assert SEQUENCE_METRICS["excess flicker"].direction is Direction.LOWER
