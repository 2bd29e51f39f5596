"""Calibration from the scene: known maps are recovered, and nothing is made up."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from refusion.alignment import CalibrationMethod, calibrate_from_scene
from refusion.alignment.geometry import inverse
from refusion.benchmarks.alignment import error_px, load_set, make_case
from refusion.errors import InputError
from refusion.frames import Frame
from refusion.stream.synthetic import SyntheticScene


def recovery_error_px(frames: list[tuple[Frame, Frame]], number: int, seed: int = 0) -> float:
    """Return how far the calibration of a case is from the truth."""
    case = make_case(frames, number, np.random.default_rng([seed, number]))
    calibration = calibrate_from_scene(case.frames)
    assert calibration.method is CalibrationMethod.scene
    assert calibration.residual_px is not None
    assert 0 < calibration.residual_px < 0.01 * calibration.visible_size[0]
    truth = case.to_infrared @ inverse(case.to_visible)
    return error_px(calibration.homography, truth, calibration.visible_size, calibration.infrared_size)


def test_a_map_is_recovered_to_a_fraction_of_a_pixel() -> None:
    # Number 7: the same field of view, infrared at a quarter of the resolution and with inverted contrast.
    pair = SyntheticScene(width_px=320, height_px=240, seed=3).pair(0)
    assert recovery_error_px([(pair.a, pair.b)], 7) < 1.0


def test_a_map_of_real_cameras_is_recovered(shared: Path) -> None:
    # Number 8: infrared sees 1.4 times as much.
    _, frames = load_set("video", shared / "data")[1]
    assert recovery_error_px(frames[:1], 8) < 3.0


def test_what_the_scene_does_not_show_is_refused() -> None:
    visible = SyntheticScene(width_px=160, height_px=120, seed=1).pair(0).b
    elsewhere = SyntheticScene(width_px=160, height_px=120, seed=2).pair(0).a[::-1, ::-1].copy()
    for infrared, reason in (
        (elsewhere, "parts of the common view|two maps|pixels only"),
        (elsewhere * 0, "blank"),
    ):
        with pytest.raises(InputError, match="the scene does not show how infrared maps onto") as caught:
            calibrate_from_scene([(infrared, visible)])
        assert re.search(reason, str(caught.value))
        assert "calibrate with a board or points" in str(caught.value)


def test_frames_that_do_not_fit_are_refused() -> None:
    gray = np.tile(np.arange(64, dtype=np.uint8), (64, 1))
    with pytest.raises(InputError, match="needs at least one pair"):
        calibrate_from_scene([])
    with pytest.raises(InputError, match="the infrared frames have 64x16: less than 32 pixels a side"):
        calibrate_from_scene([(gray[:16], gray)])
    with pytest.raises(InputError, match="the visible frames differ in size: 64x64 and 64x40"):
        calibrate_from_scene([(gray, gray), (gray, gray[:40])])
    with pytest.raises(InputError, match="source infrared must be uint8"):
        calibrate_from_scene([(gray.astype(np.uint16), gray)])
