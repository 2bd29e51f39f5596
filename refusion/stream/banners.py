"""Words on pictures: a banner over a picture, and a card in place of a missing one."""

from __future__ import annotations

import cv2
import numpy as np

from refusion.frames import Frame

_FONT = cv2.FONT_HERSHEY_DUPLEX
_CARD_GRAY = 72
_TEXT_GRAY = 245
_MARK_BGR = (0, 160, 255)
_HERSHEY_HEIGHT_PX = 22
"""Of capital letters at scale 1."""


def with_banner(picture: Frame, text: str) -> Frame:
    """Return a copy of a picture with one line of text along its upper edge.

    Args:
        picture: (H, W) or (H, W, 3) BGR.
        text: ASCII; made smaller until it fits into the width.
    """
    height, width = picture.shape[:2]
    shown = picture.copy()
    letters = max(8, round(0.04 * height))
    margin = max(2, letters // 2)
    scale = _fitting_scale(text, letters, width - 3 * margin)
    strip = shown[: min(height, letters + 2 * margin)]
    # A quarter of the picture shines through, enough to see that it moves.
    strip[:] = strip // 4
    strip[:, : max(2, margin // 2)] = _MARK_BGR if picture.ndim == 3 else _TEXT_GRAY
    _put(shown, text, (2 * margin, letters + margin), scale)
    return shown


def card(size: tuple[int, int], text: str) -> Frame:
    """Return a gray card of (width, height) with a line of text in its middle, BGR."""
    width, height = size
    picture = np.full((height, width, 3), _CARD_GRAY, np.uint8)
    scale = _fitting_scale(text, max(8, round(0.06 * height)), round(0.8 * width))
    (text_width, text_height), _ = cv2.getTextSize(text, _FONT, scale, 1)
    _put(picture, text, ((width - text_width) // 2, (height + text_height) // 2), scale)
    return picture


def _fitting_scale(text: str, letters_px: int, width_px: int) -> float:
    scale = letters_px / _HERSHEY_HEIGHT_PX
    (width, _), _ = cv2.getTextSize(text, _FONT, scale, 1)
    return scale * min(1.0, max(1, width_px) / max(1, width))


def _put(picture: Frame, text: str, left_bottom: tuple[int, int], scale: float) -> None:
    thickness = max(1, round(1.2 * scale))
    cv2.putText(picture, text, left_bottom, _FONT, scale, (_TEXT_GRAY,) * 3, thickness, cv2.LINE_AA)
