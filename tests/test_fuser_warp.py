"""Fusing through a warp: geometry and colour are those of source b."""

from __future__ import annotations

import numpy as np
import pytest

from refusion import Chroma, Fuser, InputError, UsageError
from refusion.ops import warped
from refusion.warp import Warp

RANDOM = np.random.default_rng(0)
INFRARED = RANDOM.integers(0, 256, (30, 40), np.uint8)
VISIBLE = RANDOM.integers(0, 256, (48, 64, 3), np.uint8)
WARP = Warp.of(lambda pixels: pixels * 0.4 + [4, 3], size=(64, 48), source_size=(40, 30))
"""Infrared sees more than visible, on all sides."""


@pytest.fixture(scope="module")
def fuser() -> Fuser:
    return Fuser("ivif", output_range="off")


def test_the_result_is_that_of_a_source_warped_before(fuser: Fuser) -> None:
    fused = fuser(INFRARED, VISIBLE, warp=WARP)
    assert fused.shape == VISIBLE.shape
    expected = fuser(warped(INFRARED, WARP), VISIBLE)
    # That source was rounded to gray levels.
    assert np.abs(fused.astype(int) - expected).max() <= 2


def test_what_a_does_not_see_comes_from_b(fuser: Fuser) -> None:
    nowhere = Warp.of(lambda pixels: pixels + 1e6, size=(64, 48), source_size=(40, 30))
    np.testing.assert_array_equal(
        fuser.luma(INFRARED, VISIBLE, warp=nowhere), fuser.luma(255 - INFRARED, VISIBLE, warp=nowhere)
    )


def test_a_batch_goes_through_one_warp(fuser: Fuser) -> None:
    pairs = [(INFRARED, VISIBLE), (255 - INFRARED, VISIBLE)]
    for fused, (a, b) in zip(fuser.batch(pairs, warp=WARP), pairs, strict=True):
        assert np.abs(fused.astype(int) - fuser(a, b, warp=WARP)).max() <= 1


def test_colour_of_a_warped_source_is_not_used(fuser: Fuser) -> None:
    false_colours = RANDOM.integers(0, 256, (30, 40, 3), np.uint8)
    assert fuser(false_colours, VISIBLE[..., 0], warp=WARP).shape == (48, 64)
    assert fuser.stream()(false_colours, VISIBLE, warp=WARP).shape == (48, 64, 3)
    message = r"takes its own from source a: begin another with Fuser.stream\(chroma=Chroma.B\)"
    for chroma in (Chroma.A, Chroma.BOTH):
        with pytest.raises(UsageError, match=message):
            fuser.stream(chroma=chroma)(false_colours, VISIBLE, warp=WARP)


def test_frames_of_a_stream_may_each_have_a_warp(fuser: Fuser) -> None:
    moved = Warp.of(lambda pixels: pixels * 0.4 + [5, 3], size=(64, 48), source_size=(40, 30))
    calls = fuser.stream()
    expected = [calls(INFRARED, VISIBLE, warp=warp) for warp in (WARP, WARP, moved)]
    found = list(fuser.stream().frames((INFRARED, VISIBLE, warp) for warp in (WARP, WARP, moved)))
    np.testing.assert_array_equal(found, expected)
    assert (found[1] != found[2]).any()


def test_frames_that_do_not_fit_the_warp_are_refused(fuser: Fuser) -> None:
    for call in (fuser, fuser.stream(), fuser.luma):
        with pytest.raises(InputError, match="source a is 64x48, but the warp is for 40x30"):
            call(VISIBLE, VISIBLE, warp=WARP)
        with pytest.raises(InputError, match="source b is 40x30, but the warp is for 64x48"):
            call(INFRARED, INFRARED, warp=WARP)
