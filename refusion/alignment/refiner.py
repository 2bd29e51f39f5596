"""Slow refinement of a calibration while a stream runs: cameras warm up, mounts give, cables pull."""

from __future__ import annotations

import math
import os
import sys
import threading
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusion import ops
from refusion.alignment.agreement import agreement
from refusion.alignment.calibration import Calibration
from refusion.alignment.features import Pyramid
from refusion.alignment.geometry import (
    Matrix,
    centre_of,
    corners_of,
    inverse,
    mapped,
    similarity,
    translation,
)
from refusion.alignment.refinement import SIMILARITY, Level, expected_error_px
from refusion.frames import Frame

STEP_PX = 0.05
"""How far any corner of the visible picture may move in a frame: too little to be seen."""
DEPARTURE = 0.02
"""Of the visible picture's width: how far any corner may move from the calibration that was given, in all."""
_DEAD_BAND_PX = 0.15
"""Less is not followed: the warp would change in every frame for nothing."""
_ESTIMATES = 5
"""The median of so many is followed."""
_SIDE_PX = 320
_STEPS = 8
_MIN_PARTS, _MIN_SHARE = 10, 0.4
_MAX_ERROR_PX = 1.0
_NICENESS = 10


@dataclass(frozen=True)
class _Job:
    infrared: NDArray[np.uint8]
    visible: Frame
    calibration: Calibration
    motion: Matrix
    """Of the calibration, from the one that was given."""


class Refiner:
    """Follows slow changes of how infrared lies on visible: shift, scale and rotation. From any thread.

    It cannot jump: `current` moves by a small step a call, towards the median of the latest estimates that
    many parts of the picture agree with, and never far from the calibration that was given. Where the scene
    shows no common edges nothing moves.
    """

    def __init__(self, calibration: Calibration, *, interval_s: float = 0.5) -> None:
        """Start the thread that estimates.

        Args:
            calibration: What to begin with and stay near to.
            interval_s: Pause between estimates.
        """
        self._given = calibration
        self._current = calibration
        self._motion = np.eye(3)
        self._target: NDArray[np.float64] | None = None
        self._estimates: deque[NDArray[np.float64]] = deque(maxlen=_ESTIMATES)
        self._interval_s = interval_s
        self._job: _Job | None = None
        self._is_busy = False
        self._stop = threading.Event()
        self._wake = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="alignment refiner", daemon=True)
        self._thread.start()

    def offer(self, infrared: NDArray[np.uint8], visible: Frame) -> None:
        """Show a pair; it is passed over while another one is worked on. Takes no time.

        Args:
            infrared: (h, w) gray or BGR, of the calibration's size. Must not be written to afterwards.
            visible: The whole visible picture, not cropped; likewise.
        """
        with self._wake:
            if self._is_busy or self._stop.is_set():
                return
            self._is_busy = True
            self._job = _Job(infrared, visible, self._current, self._motion)
            self._wake.notify()

    def current(self) -> Calibration:
        """Return the calibration for the next frame: at most a small step from the one before."""
        with self._wake:
            if self._target is not None:
                self._approach(self._target)
            return self._current

    def close(self) -> None:
        """Stop the thread; harmless when called twice."""
        with self._wake:
            self._stop.set()
            self._wake.notify()
        self._thread.join()

    def _approach(self, target: NDArray[np.float64]) -> None:
        here = _coordinates(self._motion, self._given)
        distance = _corner_motion_px(target, here, self._given)
        if distance <= _DEAD_BAND_PX and self._current is not self._given:
            self._target = None
            return
        if distance <= _DEAD_BAND_PX:
            return
        step = here + (target - here) * min(1.0, STEP_PX / distance)
        self._motion = _matrix(step, self._given)
        x, y, log_scale, rotation = step
        self._current = self._given.adjusted(
            dx_px=float(x), dy_px=float(y), scale=math.exp(log_scale), rotation_deg=math.degrees(rotation)
        )

    def _run(self) -> None:
        _lower_priority()
        while not self._stop.is_set():
            with self._wake:
                self._wake.wait_for(lambda: self._job is not None or self._stop.is_set())
                job, self._job = self._job, None
            if job is None:
                return
            estimate = _estimated(job)
            with self._wake:
                if estimate is not None:
                    self._estimates.append(_coordinates(estimate, self._given))
                    if len(self._estimates) == _ESTIMATES:
                        self._target = self._bounded(np.median(np.array(self._estimates), axis=0))
            self._stop.wait(self._interval_s)
            with self._wake:
                self._is_busy = False

    def _bounded(self, target: NDArray[np.float64]) -> NDArray[np.float64]:
        distance = _corner_motion_px(target, np.zeros(4), self._given)
        return target * min(1.0, DEPARTURE * self._given.visible_size[0] / max(distance, 1e-9))


def _estimated(job: _Job) -> Matrix | None:
    """Return how infrared lies, as a motion from the given calibration; None if the pair does not tell."""
    calibration = job.calibration
    warp = calibration.warp()
    shown = calibration.cropped(job.visible)
    full = np.full(job.infrared.shape[:2], 255, np.uint8)
    valid = (np.asarray(ops.warped(full, warp)) == 255).astype(np.uint8)
    infrared, visible = Pyramid([ops.warped(job.infrared, warp)], valid=valid), Pyramid([shown])
    shrink = min(1.0, _SIDE_PX / max(visible.size))
    size = max(8, round(visible.size[0] * shrink)), max(8, round(visible.size[1] * shrink))
    reach_px = 2 * DEPARTURE * calibration.visible_size[0]
    fit = Level(infrared, visible, size).refined(np.eye(3), SIMILARITY, _STEPS, reach_px)
    if fit is None or expected_error_px(fit, visible.size, infrared.size) > _MAX_ERROR_PX / shrink:
        return None
    found = agreement(infrared, visible, fit.matrix)
    if found.parts < _MIN_PARTS or found.agreeing < _MIN_SHARE * found.parts:
        return None
    x, y = calibration.crop[:2] if calibration.crop else (0, 0)
    return inverse(translation(x, y) @ fit.matrix @ translation(-x, -y)) @ job.motion


def _coordinates(motion: Matrix, calibration: Calibration) -> NDArray[np.float64]:
    """Return x, y (pixels), logarithm of the scale and angle (radians) of a similarity about the middle."""
    middle = np.array([centre_of(calibration.visible_size)])
    x, y = (mapped(motion, middle) - middle)[0]
    return np.array(
        [x, y, math.log(math.hypot(motion[0, 0], motion[1, 0])), math.atan2(motion[1, 0], motion[0, 0])]
    )


def _matrix(coordinates: NDArray[Any], calibration: Calibration) -> Matrix:
    x, y, log_scale, rotation = map(float, coordinates)
    return similarity(
        centre_of(calibration.visible_size),
        scale=math.exp(log_scale),
        rotation_deg=math.degrees(rotation),
        offset_px=(x, y),
    )


def _corner_motion_px(a: NDArray[Any], b: NDArray[Any], calibration: Calibration) -> float:
    corners = corners_of(calibration.visible_size)
    apart = mapped(_matrix(a, calibration), corners) - mapped(_matrix(b, calibration), corners)
    return float(np.hypot(*apart.T).max())


def _lower_priority() -> None:
    # Only Linux has priorities of threads; elsewhere the call would change the whole process.
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
