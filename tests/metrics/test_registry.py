"""`evaluate` as a whole: its names, its properties and the inputs it refuses."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from refusion.errors import InputError
from refusion.metrics import METRICS, Direction, evaluate

NAMES = ["EN", "SD", "SF", "AG", "MI", "SCD", "VIF", "Qabf", "SSIM", "SSIM2", "CC"]


def scene(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (64, 80), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (5, 5), 1.5)


A, B = scene(1), scene(2)
AVERAGE = np.rint((A.astype(float) + B) / 2).astype(np.uint8)


def test_registry_is_complete() -> None:
    assert list(METRICS) == NAMES
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.meaning
        assert metric.reading
        assert "\n" not in metric.meaning + metric.reading
        assert len(metric.meaning) <= 80


def test_metrics_that_follow_contrast_are_no_goal() -> None:
    no_goal = {name for name, metric in METRICS.items() if metric.direction is Direction.NONE}
    assert no_goal == {"EN", "SD", "SF", "AG", "SSIM2"}


def test_values_are_plain_numbers_by_name() -> None:
    values = evaluate(AVERAGE, A, B)
    assert list(values) == NAMES
    assert all(type(value) is float and math.isfinite(value) for value in values.values())


@pytest.mark.parametrize("fused", [AVERAGE, A], ids=["average", "copy"])
def test_the_order_of_the_sources_does_not_matter(fused: np.ndarray) -> None:
    assert evaluate(fused, A, B) == pytest.approx(evaluate(fused, B, A), rel=1e-12)


def test_all_three_equal() -> None:
    values = evaluate(A, A, A)
    assert values["MI"] == pytest.approx(2 * math.log(2) * values["EN"])
    assert values["SCD"] == 0.0
    assert values["VIF"] == pytest.approx(2.0)
    assert values["Qabf"] == pytest.approx(0.9994 / (1 + math.exp(-7.5)) * 0.9879 / (1 + math.exp(-4.4)))
    assert values["SSIM"] == pytest.approx(2.0)
    assert values["SSIM2"] == pytest.approx(2.0)
    assert values["CC"] == pytest.approx(1.0)


def test_averaging_and_copying_are_what_the_readings_say() -> None:
    average, copy = evaluate(AVERAGE, A, B), evaluate(A, A, B)
    assert average["SSIM"] > copy["SSIM"]
    assert average["SCD"] > copy["SCD"]
    assert copy["MI"] > average["MI"]
    assert copy["VIF"] > average["VIF"]
    assert copy["SCD"] <= 1


def test_constant_images() -> None:
    flat = np.full((64, 80), 100, np.uint8)
    values = evaluate(flat, flat, flat)
    for name in ("EN", "SD", "SF", "AG", "MI", "SCD", "VIF", "CC"):
        assert values[name] == 0.0, name
    assert values["SSIM"] == pytest.approx(2.0)
    assert values["Qabf"] > 0.9  # the frame of the image is an edge, and it is kept


def test_the_two_ssims_differ_in_their_data_range() -> None:
    darker, lighter = np.full((64, 80), 3, np.uint8), np.full((64, 80), 5, np.uint8)
    values = evaluate(darker, lighter, lighter)
    for name, data_range in [("SSIM", 255), ("SSIM2", 2)]:
        c1 = (0.01 * data_range) ** 2
        assert values[name] == pytest.approx(2 * (2 * 3 * 5 + c1) / (3**2 + 5**2 + c1)), name


def test_black_images() -> None:
    black = np.zeros((64, 80), np.uint8)
    values = evaluate(black, black, black)
    assert {name: value for name, value in values.items() if value != 0} == pytest.approx(
        {"SSIM": 2.0, "SSIM2": 2.0}
    )


def test_colour_counts_by_its_rounded_luma() -> None:
    colour = np.random.default_rng(3).integers(0, 256, (64, 80, 3), dtype=np.uint8)
    blue, green, red = (colour[..., channel].astype(float) for channel in range(3))
    luma = np.rint(0.299 * red + 0.587 * green + 0.114 * blue).astype(np.uint8)
    assert evaluate(colour, A, B) == pytest.approx(evaluate(luma, A, B), rel=1e-3)
    assert evaluate(AVERAGE, np.dstack([A, A, A]), B) == evaluate(AVERAGE, A, B)


def test_any_strides() -> None:
    views = [image[::-1, ::-1].T for image in (AVERAGE, A, B)]
    contiguous = [np.ascontiguousarray(view) for view in views]
    assert evaluate(*views) == pytest.approx(evaluate(*contiguous), rel=1e-12)


def test_inputs_are_left_as_they_are() -> None:
    before = [image.copy() for image in (AVERAGE, A, B)]
    evaluate(AVERAGE, A, B)
    np.testing.assert_array_equal(before, (AVERAGE, A, B))


@pytest.mark.parametrize(
    ("fused", "a", "b", "message"),
    [
        pytest.param(AVERAGE[:-1], A, B, "the fused image is 80x63, its sources are 80x64", id="fused size"),
        pytest.param(AVERAGE, A, B[:, :-1], "a is 80x64, b is 79x64", id="source size"),
        pytest.param(
            AVERAGE / 255, A, B, "the fused image must be a uint8 array .*, not float64", id="float"
        ),
        pytest.param(None, A, B, "the fused image must be a uint8 array .*, not NoneType", id="none"),
        pytest.param(AVERAGE, None, B, "source a must be a NumPy array, not NoneType", id="source none"),
        pytest.param(
            np.dstack([AVERAGE] * 4), A, B, r"\(H, W, 3\) BGR, not of shape \(64, 80, 4\)", id="channels"
        ),
        pytest.param(AVERAGE[:, :40], A[:, :40], B[:, :40], "VIF needs .* 41x41 .* is 40x64", id="small"),
    ],
)
def test_unusable_input(fused: object, a: object, b: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        evaluate(fused, a, b)
