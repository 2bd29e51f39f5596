from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from refusion.backends.tensorrt.shapes import ShapeProfile
from refusion.export.engine_verification import cases_within
from refusion.export.precision import ExportError, Limits, Precision
from refusion.export.verification import Case, Run, cases_for, cases_from, verify

RAMP = Case("ramp", (1, 8, 9), lambda: np.random.default_rng(0).random((1, 2, 8, 9), np.float32))


def original(sources: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(sources.mean(axis=1, keepdims=True), np.float32)


def wrong_by(damage: Callable[[NDArray[np.float32]], None]) -> Run:
    def run(sources: NDArray[np.float32]) -> NDArray[np.float32]:
        fused = original(sources).copy()
        damage(fused)
        return fused

    return run


def at_one_place(value: float) -> Run:
    def damage(fused: NDArray[np.float32]) -> None:
        fused[0, 0, 2, 3] += value

    return wrong_by(damage)


def test_an_equal_model_passes() -> None:
    accuracy = verify(original, original, [RAMP], limits=Precision.fp16.value)
    assert (accuracy.inputs, accuracy.largest_error, accuracy.lowest_psnr_db) == (1, 0.0, None)


def test_a_model_that_differs_is_refused_with_the_place() -> None:
    with pytest.raises(ExportError, match=r"by 0.001 .* on 'ramp', at pair 0, row 2, column 3; nothing was"):
        verify(original, at_one_place(1e-3), [RAMP], limits=Precision.fp32.value)


@pytest.mark.parametrize("precision", list(Precision))
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_refused_with_the_place(precision: Precision, value: float) -> None:
    with pytest.raises(ExportError, match=r"gives (nan|inf) on 'ramp', at pair 0, row 2, column 3"):
        verify(original, at_one_place(value), [RAMP], limits=precision.value)


def test_too_low_a_psnr_is_refused_with_the_place() -> None:
    with pytest.raises(ExportError, match=r"reaches 46.\d dB .*at least 55 dB needed.*row 2, column 3"):
        verify(original, at_one_place(10 / 255), [RAMP], limits=Limits(lowest_psnr_db=55))


def test_a_flat_picture_on_the_border_of_two_levels_is_not_refused() -> None:
    flat = Case("flat", (1, 8, 8), lambda: np.full((1, 2, 8, 8), 100.499 / 255, np.float32))

    def shifted(fused: NDArray[np.float32]) -> None:
        fused += 0.01 / 255

    accuracy = verify(original, wrong_by(shifted), [flat], limits=Precision.fp16.value)
    assert accuracy.lowest_psnr_db == pytest.approx(88.1, abs=0.1)
    assert accuracy.lowest_share_within_one_level == 1


def test_hard_inputs_and_large_sizes_are_among_the_cases() -> None:
    cases = {case.name: case for case in cases_for(Precision.fp16, None, None)}
    assert {"all black", "all white", "checkerboard", "full-range noise"} <= cases.keys()
    assert cases["1 rendered pair(s) of 1920x1080"].shape == (1, 1080, 1920)
    for name in ("all black", "checkerboard", "1 rendered pair(s) of 640x480"):
        sources = cases[name].load()
        batch, height, width = cases[name].shape or (0, 0, 0)
        assert (sources.shape, sources.dtype) == ((batch, 2, height, width), np.float32)
        assert sources.min() >= 0
        assert sources.max() <= 1


def test_a_fixed_shape_has_cases_of_that_shape_only(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / "1.png"), np.zeros((20, 31), np.uint8))
    cases = cases_for(Precision.fp16, (2, 5, 7), (tmp_path / "a", tmp_path / "b"))
    assert {case.load().shape for case in cases} == {(2, 2, 5, 7)}
    assert len(cases) == 6
    assert cases_from(tmp_path / "a", tmp_path / "b")[0].load().shape == (1, 2, 20, 31)


def test_an_engine_is_verified_on_what_its_profile_takes() -> None:
    fixed = cases_within(ShapeProfile.fixed(1, 48, 64), Precision.fp16)
    assert {case.shape for case in fixed} == {(1, 48, 64)}
    profile = ShapeProfile((1, 16, 16), (1, 240, 320), (2, 480, 640))
    shapes = {case.shape for case in cases_within(profile, Precision.fp16)}
    assert (1, 480, 640) in shapes
    assert (2, 97, 129) in shapes
    assert all(shape is not None and profile.contains(*shape) for shape in shapes)
