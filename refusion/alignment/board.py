"""Calibration from a board with a pattern that both cameras see."""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from refusion.alignment.calibration import Calibration, CalibrationMethod, now
from refusion.alignment.features import luma
from refusion.alignment.geometry import Points, finite
from refusion.alignment.lens import Lens
from refusion.alignment.points import fitted_homography, rms_px
from refusion.errors import InputError, UsageError
from refusion.frames import Frame, checked_frame, size_text

MIN_VIEWS_FOR_LENS = 8
"""Views of the board from which lens models are estimated: of fewer, they bend to the noise."""
_LENS_GAIN = 0.8
"""A lens model is kept if it makes the residual this much smaller."""
_INLIER_PX = 3.0
_DETECTION_WIDTH_PX = 640
"""Small infrared pictures are enlarged to it: detectors expect squares of ten pixels and more."""


class Pattern(enum.Enum):
    """What is on the board."""

    chessboard = "chessboard"
    circles = "circles"
    """OpenCV's asymmetrical grid of circles: holes in a warm plate show in infrared, too."""


@dataclass(frozen=True)
class Board:
    """A calibration board."""

    columns: int
    """Inner corners (chessboard) or circles in a row."""
    rows: int
    pattern: Pattern = Pattern.chessboard
    square_mm: float = 25.0
    """Side of a square, or distance of neighbouring circles' rows; it does not change the map."""

    @classmethod
    def parse(cls, text: str, *, square_mm: float = 25.0) -> Board:
        """Read a board as COLUMNSxROWS, for circles with `circles:` before it.

        Raises:
            UsageError: It is no board.
        """
        match = re.fullmatch(r"(?:(chessboard|circles):)?(\d+)x(\d+)", text.strip())
        if not match or min(int(match[2]), int(match[3])) < 3 or not square_mm > 0:
            raise UsageError(
                f"a board is its inner corners, as 9x6, or as circles:4x11, at least 3x3; not '{text}'"
            )
        return cls(int(match[2]), int(match[3]), Pattern(match[1] or "chessboard"), square_mm)

    def places_mm(self) -> NDArray[np.float32]:
        """Return where the corners or circles lie on the board, (N, 3), z = 0."""
        row, column = np.mgrid[0 : self.rows, 0 : self.columns]
        x = 2 * column + row % 2 if self.pattern is Pattern.circles else column
        flat = np.stack([x.ravel(), row.ravel(), np.zeros(row.size)], axis=1)
        return np.asarray(flat * self.square_mm, np.float32)

    def found_in(self, frame: Frame) -> Points | None:
        """Return the corners or circles in a picture, (N, 2), in the board's order; None if it is not there.

        The contrast may be inverted: in infrared, black squares that absorb sunlight are the bright ones.
        """
        plane = luma(frame)
        enlarged = max(1, -(-_DETECTION_WIDTH_PX // plane.shape[1]))
        size = plane.shape[1] * enlarged, plane.shape[0] * enlarged
        smooth = np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_CUBIC), np.float32)
        span = max(1.0, float(np.ptp(smooth)))
        gray = np.rint((smooth - smooth.min()) * (255 / span)).astype(np.uint8)
        for picture in (gray, 255 - gray):
            found, points = self._detected(picture)
            if found and points is not None:
                # The middle of the first enlarged pixel is not that of the first pixel.
                return (np.asarray(points, np.float64).reshape(-1, 2) + 0.5) / enlarged - 0.5
        return None

    def _detected(self, gray: NDArray[np.uint8]) -> tuple[bool, Any]:
        shape = (self.columns, self.rows)
        if self.pattern is Pattern.circles:
            return cv2.findCirclesGrid(gray, shape, flags=cv2.CALIB_CB_ASYMMETRIC_GRID)
        return cv2.findChessboardCornersSB(
            gray, shape, flags=cv2.CALIB_CB_NORMALIZE_IMAGE | cv2.CALIB_CB_ACCURACY
        )


def calibrate_from_board(
    pairs: Sequence[tuple[Any, Any]], board: Board, *, estimate_lenses: bool = True
) -> Calibration:
    """Return the calibration in which the corners of a board that both cameras see coincide.

    The board should stand at the distance at which the cameras shall coincide, and be seen in all corners of
    the common view: between two cameras side by side the map depends on the distance. With at least 8 views,
    tilted differently, lens models are estimated, and kept where they lower the residual.

    Args:
        pairs: (infrared, visible) frames, gray or BGR.
        board: What is on the board.
        estimate_lenses: Whether lens models may be used.

    Raises:
        InputError: Frames differ in size, no pair shows the board to both, or corners contradict each other.
    """
    found, sizes = _found(pairs, board)
    infrared, visible = (np.concatenate([view[side] for view in found]) for side in (0, 1))
    straight = _calibration(infrared, visible, sizes, len(found))
    if not estimate_lenses or len(found) < MIN_VIEWS_FOR_LENS:
        return straight
    lenses = [_lens([view[side] for view in found], board, sizes[side]) for side in (0, 1)]
    bent = _calibration(infrared, visible, sizes, len(found), lenses[0], lenses[1])
    assert straight.residual_px is not None
    assert bent.residual_px is not None
    return bent if bent.residual_px < _LENS_GAIN * straight.residual_px else straight


def _found(
    pairs: Sequence[tuple[Any, Any]], board: Board
) -> tuple[list[tuple[Points, Points]], tuple[tuple[int, int], tuple[int, int]]]:
    if not pairs:
        raise InputError("calibration from a board needs at least one pair of frames")
    checked = [(checked_frame(a, "infrared"), checked_frame(b, "visible")) for a, b in pairs]
    first = checked[0]
    for pair in checked[1:]:
        for name, frame, expected in zip(("infrared", "visible"), pair, first, strict=True):
            if frame.shape[:2] != expected.shape[:2]:
                raise InputError(
                    f"the {name} frames differ in size: {size_text(expected)} and {size_text(frame)}"
                )
    views = []
    alone = {"infrared": 0, "visible": 0}
    for infrared, visible in checked:
        corners = board.found_in(infrared), board.found_in(visible)
        alone["infrared"] += corners[0] is not None
        alone["visible"] += corners[1] is not None
        if corners[0] is not None and corners[1] is not None:
            views.append((_in_order_of(corners[1], corners[0], board), corners[1]))
    if not views:
        raise InputError(
            f"no pair shows the {board.columns}x{board.rows} {board.pattern.value} to both cameras: of "
            f"{len(checked)}, infrared shows it in {alone['infrared']}, visible in {alone['visible']}; check "
            "--board (inner corners) and that the board is whole, and warm or cold enough for infrared"
        )
    infrared_size, visible_size = first[0].shape[1::-1], first[1].shape[1::-1]
    return views, ((infrared_size[0], infrared_size[1]), (visible_size[0], visible_size[1]))


def _in_order_of(visible: Points, infrared: Points, board: Board) -> Points:
    """Return infrared's corners in visible's order: a board turned by half or inverted looks the same."""
    grid = np.arange(len(infrared)).reshape(board.rows, board.columns)
    orders = [grid.ravel(), grid[::-1, ::-1].ravel()]
    if board.rows == board.columns:
        orders += [np.rot90(grid, turns).ravel() for turns in (1, 3)]

    def turn(order: NDArray[np.intp]) -> float:
        """Return by how much the cameras would be turned against each other."""
        a, b = infrared[order] - infrared.mean(axis=0), visible - visible.mean(axis=0)
        cross = float((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum())
        return abs(float(np.arctan2(cross, float((a * b).sum()))))

    return infrared[min(orders, key=turn)]


def _lens(views: list[Points], board: Board, size: tuple[int, int]) -> Lens:
    places = [board.places_mm()] * len(views)
    corners = [view.astype(np.float32).reshape(-1, 1, 2) for view in views]
    # Without k3: boards seldom reach the corners of the picture, and it runs away there.
    _, matrix, distortion, _, _ = cv2.calibrateCamera(
        places, corners, size, None, None, flags=cv2.CALIB_FIX_K3
    )
    return Lens(np.asarray(matrix, np.float64), np.asarray(distortion, np.float64).ravel()[:5])


def _calibration(
    infrared: Points,
    visible: Points,
    sizes: tuple[tuple[int, int], tuple[int, int]],
    views: int,
    infrared_lens: Lens | None = None,
    visible_lens: Lens | None = None,
) -> Calibration:
    ideal_infrared = infrared_lens.undistorted(infrared) if infrared_lens else infrared
    ideal_visible = visible_lens.undistorted(visible) if visible_lens else visible
    known = finite(ideal_infrared) & finite(ideal_visible)
    ideal_infrared, ideal_visible = ideal_infrared[known], ideal_visible[known]
    matrix, used = fitted_homography(
        ideal_visible, ideal_infrared, tolerance=_INLIER_PX * sizes[0][0] / sizes[1][0]
    )
    if used.sum() < 0.5 * len(infrared):
        raise InputError(
            f"the corners of {views} views of the board agree on no one map: only {int(used.sum())} of "
            f"{len(infrared)} do; keep the board at one distance, that of what shall be fused"
        )
    residual = rms_px(matrix, ideal_visible[used], ideal_infrared[used])
    return Calibration(
        *sizes,
        matrix,
        infrared_lens=infrared_lens,
        visible_lens=visible_lens,
        method=CalibrationMethod.board,
        residual_px=residual,
        created=now(),
    )
