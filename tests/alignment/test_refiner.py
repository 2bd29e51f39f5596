"""Refinement while a stream runs: drifts are followed slowly, nothing else moves it."""

from __future__ import annotations

import itertools
import time

import cv2
import numpy as np
import pytest

from refusion.alignment import Calibration, Refiner
from refusion.alignment.geometry import corners_of, similarity
from refusion.alignment.refiner import DEPARTURE, STEP_PX
from refusion.stream.synthetic import SyntheticScene

SIZE = (192, 144)
CORNERS = corners_of(SIZE)


def drifted(offset_px: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Return a pair in which infrared lies that far off."""
    pair = SyntheticScene(width_px=SIZE[0], height_px=SIZE[1], seed=3).pair(0)
    motion = similarity((96, 72), rotation_deg=0.3, offset_px=offset_px)
    moved = cv2.warpAffine(pair.a, motion[:2], SIZE, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.uint8), pair.b


def run(refiner: Refiner, infrared: np.ndarray, visible: np.ndarray, estimates: int) -> list[Calibration]:
    """Show a pair until so many estimates must be done, then let the calibration settle; return each step."""
    deadline = time.monotonic() + 60
    for _ in range(estimates):
        while refiner._is_busy and time.monotonic() < deadline:
            time.sleep(0.005)
        refiner.offer(infrared, visible)
    return [refiner.current() for _ in range(200)]


def largest_step_px(steps: list[Calibration]) -> float:
    places = [calibration.places(CORNERS) for calibration in steps]
    return max(float(np.hypot(*(b - a).T).max()) for a, b in itertools.pairwise(places))


def test_a_drift_is_followed_in_small_steps() -> None:
    calibration = Calibration.full_view(SIZE, SIZE)
    refiner = Refiner(calibration, interval_s=0.0)
    try:
        assert refiner.current() is calibration
        steps = run(refiner, *drifted((2.5, -1.5)), estimates=6)
    finally:
        refiner.close()
    assert largest_step_px(steps) <= 1.2 * STEP_PX
    motion = similarity((96, 72), rotation_deg=0.3, offset_px=(2.5, -1.5))
    there = np.column_stack([CORNERS, np.ones(4)]) @ motion.T
    off = np.hypot(*(steps[-1].places(CORNERS) - there[:, :2]).T)
    assert off.max() < 0.7
    assert np.hypot(*(steps[0].places(CORNERS) - there[:, :2]).T).min() > 1.5


def test_it_stays_near_the_calibration_that_was_given() -> None:
    refiner = Refiner(Calibration.full_view(SIZE, SIZE), interval_s=0.0)
    try:
        steps = run(refiner, *drifted((5.0, 0.0)), estimates=6)
    finally:
        refiner.close()
    moved = np.hypot(*(steps[-1].places(CORNERS) - CORNERS).T).max()
    assert 1.5 < moved <= DEPARTURE * SIZE[0] + 0.1


@pytest.mark.parametrize("kind", ["flat", "noise", "aligned"])
def test_nothing_moves_without_a_reason(kind: str) -> None:
    infrared, visible = drifted((0.0, 0.0))
    random = np.random.default_rng(0)
    pair = SyntheticScene(width_px=SIZE[0], height_px=SIZE[1], seed=3).pair(0)
    infrared = {
        "flat": np.full_like(infrared, 90),
        "noise": random.integers(0, 256, infrared.shape, np.uint8),
        "aligned": pair.a,
    }[kind]
    calibration = Calibration.full_view(SIZE, SIZE)
    refiner = Refiner(calibration, interval_s=0.0)
    try:
        steps = run(refiner, infrared, visible, estimates=6)
    finally:
        refiner.close()
    moved = np.hypot(*(steps[-1].places(CORNERS) - CORNERS).T).max()
    assert moved < 0.5 if kind == "aligned" else steps[-1] is calibration


def test_it_stops_at_once_and_twice() -> None:
    refiner = Refiner(Calibration.full_view(SIZE, SIZE))
    thread = refiner._thread
    refiner.close()
    refiner.close()
    assert not thread.is_alive()
    refiner.offer(*drifted((1.0, 0.0)))
    assert not refiner._is_busy
