"""Calibration from the scene itself: no board, no points, whatever both cameras happen to see."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from refusion.alignment.agreement import Agreement, agreement
from refusion.alignment.calibration import Calibration, CalibrationMethod, now
from refusion.alignment.features import Pyramid
from refusion.alignment.geometry import inverse, resized
from refusion.alignment.refinement import HOMOGRAPHY, SIMILARITY, Fit, Level, expected_error_px
from refusion.alignment.search import candidates, difference_px
from refusion.errors import InputError
from refusion.frames import checked_frame, size_text

MAX_PAIRS = 6
"""More pictures of one scene say little new, and cost as much as the first ones."""
MIN_SIDE_PX = 32
_MIN_CONTRAST = 4
"""Gray levels between the darkest and the brightest pixel."""
_CANDIDATES, _FINALISTS = 24, 8
_SIDES_PX = (192, 320, 640)
"""Longer side of the visible picture in the rounds of refinement."""
_FINEST_PITCH = 0.3
"""Of infrared's pixels in one of visible's: below, infrared has nothing to add."""
_STEPS = 8
_REACH = 0.08
"""Of the visible width: how far refinement may lead, a step of the search and a half."""
_MIN_AGREEING, _MIN_SHARE = 6, 0.2
"""Parts that must agree, and their share. Wrong maps had at most 4, right ones mostly half of all."""
_MAX_RIVALRY = 0.6
"""Measured wrong maps mostly had rivals of 0.7 and more, right ones of up to 0.5."""
_MAX_ERROR = 0.01
"""Of the visible width."""
_ERROR_FACTOR = 3.0
"""Measured errors are so many times those that noise explains: cameras see edges of unlike things."""
_RIVAL = 0.04
"""Of the visible width: a map so far from the best one contradicts it."""


@dataclass(frozen=True, eq=False)
class Finalist:
    """A map that may be right, and how far the parts of the picture agree with it."""

    fit: Fit
    agreement: Agreement

    @property
    def merit(self) -> float:
        """What finalists are ranked by: whole and parts must both fit."""
        return self.fit.score * self.agreement.share


@dataclass(frozen=True, eq=False)
class SceneEstimate:
    """What the scene says, and how far it can be trusted."""

    fit: Fit
    agreement: Agreement
    expected_error_px: float
    """Pixels of the visible picture."""
    rivalry: float
    """Merit of the best map that contradicts the fit, in parts of the fit's merit."""

    def doubt(self, visible_size: tuple[int, int]) -> str | None:
        """Return why the estimate cannot be trusted; None if it can."""
        agreeing, parts = self.agreement.agreeing, self.agreement.parts
        if agreeing < _MIN_AGREEING or self.agreement.share < _MIN_SHARE:
            return f"of {parts} parts of the common view, {agreeing} fit where the best map says"
        if self.rivalry > _MAX_RIVALRY:
            return "two maps fit nearly as well, as with fences and other repeating patterns"
        if self.expected_error_px > _MAX_ERROR * visible_size[0]:
            return f"the best map is known to {self.expected_error_px:.1f} pixels only"
        return None


def calibrate_from_scene(pairs: Sequence[tuple[Any, Any]]) -> Calibration:
    """Return the calibration in which the edges of both views coincide best.

    The fields of view may differ by a factor of 2.4, the cameras be turned against each other by 6 degrees.
    Which side of an edge is the brighter one does not matter. Lens distortion is not estimated.

    Args:
        pairs: (infrared, visible) frames, gray or BGR; of many, a few spread evenly are used together.

    Raises:
        InputError: Frames do not fit together, are too small, or the estimate cannot be trusted.
    """
    infrared, visible = _pyramids(pairs)
    estimate = estimate_from_scene(infrared, visible)
    doubt = estimate.doubt(visible.size) if estimate else "no map was found"
    if estimate is None or doubt:
        raise InputError(
            f"the scene does not show how infrared maps onto visible: {doubt}; take more or other frames, "
            "with edges that both cameras see, or calibrate with a board or points"
        )
    return Calibration(
        infrared.size,
        visible.size,
        estimate.fit.matrix,
        method=CalibrationMethod.scene,
        residual_px=estimate.expected_error_px,
        created=now(),
    )


def estimate_from_scene(infrared: Pyramid, visible: Pyramid) -> SceneEstimate | None:
    """Return the best map, trusted or not; None where there is not even a candidate."""
    first = Level(infrared, visible, _level_size(visible.size, _SIDES_PX[0]))
    reach_px = _REACH * visible.size[0]
    starts = [candidate.matrix for candidate in candidates(infrared, visible, _CANDIDATES)]
    likely = _ranked(first.refined(start, SIMILARITY, _STEPS, reach_px) for start in starts)
    fits = _ranked(first.refined(fit.matrix, HOMOGRAPHY, _STEPS, reach_px) for fit in likely[:_FINALISTS])
    finalists = [Finalist(fit, agreement(infrared, visible, fit.matrix)) for fit in fits]
    if not finalists:
        return None
    best = max(finalists, key=lambda finalist: finalist.merit)
    rivals = [
        other.merit
        for other in finalists
        if difference_px(best.fit.matrix, other.fit.matrix, visible.size, infrared.size)
        > _RIVAL * visible.size[0]
    ]
    final = refined_fit(infrared, visible, best.fit, _SIDES_PX[1:])
    return SceneEstimate(
        final,
        agreement(infrared, visible, final.matrix),
        _ERROR_FACTOR * expected_error_px(final, visible.size, infrared.size),
        max(rivals, default=0.0) / max(best.merit, 1e-9),
    )


def _ranked(fits: Iterable[Fit | None]) -> list[Fit]:
    return sorted((fit for fit in fits if fit), key=lambda fit: -fit.score)


def refined_fit(infrared: Pyramid, visible: Pyramid, fit: Fit, sides_px: Sequence[int]) -> Fit:
    """Return the fit moved at ever finer resolution, as fine as infrared is."""
    done = 0
    for side in sides_px:
        size = _level_size(visible.size, side)
        to_level = fit.matrix @ inverse(resized(visible.size, size))
        pitch = math.sqrt(abs(float(np.linalg.det(to_level[:2, :2]))))
        if size[0] <= done or pitch < _FINEST_PITCH:
            break
        finer = Level(infrared, visible, size).refined(fit.matrix, HOMOGRAPHY, _STEPS)
        fit = finer or fit
        done = size[0]
    return fit


def _level_size(size: tuple[int, int], side: int) -> tuple[int, int]:
    shrink = min(1.0, side / max(size))
    return max(8, round(size[0] * shrink)), max(8, round(size[1] * shrink))


def _pyramids(pairs: Sequence[tuple[Any, Any]]) -> tuple[Pyramid, Pyramid]:
    if not pairs:
        raise InputError("calibration from the scene needs at least one pair of frames")
    chosen = [
        pairs[i] for i in np.linspace(0, len(pairs) - 1, min(MAX_PAIRS, len(pairs))).round().astype(int)
    ]
    views = []
    for name, column in (("infrared", 0), ("visible", 1)):
        frames = [checked_frame(pair[column], name) for pair in chosen]
        for frame in frames[1:]:
            if frame.shape[:2] != frames[0].shape[:2]:
                raise InputError(
                    f"the {name} frames differ in size: {size_text(frames[0])} and {size_text(frame)}"
                )
        if min(frames[0].shape[:2]) < MIN_SIDE_PX:
            raise InputError(
                f"the {name} frames have {size_text(frames[0])}: less than {MIN_SIDE_PX} pixels a side shows "
                "too little to calibrate from the scene"
            )
        if all(int(np.ptp(frame)) < _MIN_CONTRAST for frame in frames):
            raise InputError(
                f"the scene does not show how infrared maps onto visible: the {name} frames are blank; "
                "calibrate with a board or points"
            )
        views.append(Pyramid(frames))
    return views[0], views[1]


def reference_fit(infrared: Pyramid, visible: Pyramid) -> Fit:
    """Return the best fit near the assumption that both views are registered already."""
    start = Level(infrared, visible, _level_size(visible.size, _SIDES_PX[0]))
    fit = start.refined(Calibration.full_view(infrared.size, visible.size).homography, HOMOGRAPHY, _STEPS)
    assert fit is not None  # without a limit on its reach, refinement always ends somewhere
    return refined_fit(infrared, visible, fit, _SIDES_PX[1:])
