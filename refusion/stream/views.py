"""Pictures of several frames at once, for people: labelled tiles, side by side and in rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import cv2
import numpy as np

from refusion.frames import Frame

GAP_PX = 4
LABEL_HEIGHT_PX = 26
BACKGROUND, TEXT = (255, 255, 255), (40, 40, 40)


def contact_sheet(
    rows: Sequence[Sequence[Frame]], labels: Sequence[str], *, tile_width_px: int = 400
) -> Frame:
    """Return rows of frames under one line of column labels, BGR.

    Args:
        rows: Frames, gray or BGR; every row has one frame a label.
        labels: What each column shows.
        tile_width_px: Width each frame is scaled to; its shape is kept.
    """
    tiled = [np.hstack([_framed(_tile(frame, tile_width_px)) for frame in row]) for row in rows]
    header = np.full((LABEL_HEIGHT_PX, tiled[0].shape[1], 3), BACKGROUND, np.uint8)
    for column, label in enumerate(labels):
        left = column * (tile_width_px + GAP_PX) + GAP_PX
        baseline = LABEL_HEIGHT_PX - 8
        cv2.putText(header, label, (left, baseline), cv2.FONT_HERSHEY_SIMPLEX, 0.55, TEXT, 1, cv2.LINE_AA)
    return np.vstack([header, *tiled])


def _tile(frame: Frame, width: int) -> Frame:
    height = max(1, round(frame.shape[0] * width / frame.shape[1]))
    # INTER_AREA is for shrinking; enlarging with it repeats pixels.
    method = cv2.INTER_AREA if width < frame.shape[1] else cv2.INTER_CUBIC
    scaled = cast(Frame, cv2.resize(frame, (width, height), interpolation=method))
    return cast(Frame, cv2.cvtColor(scaled, cv2.COLOR_GRAY2BGR)) if scaled.ndim == 2 else scaled


def _framed(tile: Frame) -> Frame:
    framed = cv2.copyMakeBorder(tile, 0, GAP_PX, 0, GAP_PX, cv2.BORDER_CONSTANT, value=BACKGROUND)
    return cast(Frame, framed)
