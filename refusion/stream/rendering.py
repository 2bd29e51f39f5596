"""What is shown of a stream's frame: the views, and the words on them when a camera is missing."""

from __future__ import annotations

import enum
import functools
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from refusion.choices import chosen
from refusion.errors import UsageError
from refusion.frames import Frame
from refusion.stream.banners import card, with_banner
from refusion.stream.moments import SourceState
from refusion.stream.monitoring import StreamFrame
from refusion.thermal import Palette
from refusion.warp import Warp

EDGE_COLOUR_BGR = (0, 150, 255)
"""Orange: rare in street scenes, and clear on dark and on bright."""
# Slopes of infrared, gray levels a pixel, that become an invisible and an opaque edge: sensor noise stays
# below the first, a person against a wall is above the second.
_FAINT_EDGE, _FULL_EDGE = 6.0, 22.0
_UNSEEN = 24
"""Gray of what infrared does not see: not black, which is cold."""


@dataclass(frozen=True)
class ViewFacts:
    """What people read about a view."""

    title: str
    text: str


class View(enum.Enum):
    """What is shown; the name is what it is called on the command line."""

    fused = ViewFacts("Fused", "both cameras in one picture")
    ir = ViewFacts("Infrared", "infrared in the geometry of the visible camera")
    visible = ViewFacts("Visible", "the visible camera alone")
    side = ViewFacts("Side by side", "infrared on the left, visible on the right")
    blend = ViewFacts("Blend", "infrared over visible, mixed by a slider")
    edges = ViewFacts("Edges", "edges of infrared on visible: shows how well they are aligned")

    @classmethod
    def parse(cls, name: str | View) -> View:
        """Return the view of that name.

        Raises:
            UsageError: There is no such view.
        """
        return chosen(cls, name, called="view")


@dataclass(frozen=True)
class ViewSettings:
    """A view with all it depends on; equal settings show equal pictures."""

    view: View = View.fused
    palette: Palette = Palette.white_hot
    """Of infrared, where it is shown as it is."""
    blend: float = 0.5
    """Share of infrared in the view blend, 0 to 1."""

    def __post_init__(self) -> None:
        """Check the share.

        Raises:
            UsageError: It is not from 0 to 1.
        """
        if not 0 <= self.blend <= 1:
            raise UsageError(f"the share of infrared in a blend must be from 0 to 1, not {self.blend}")


def render(frame: StreamFrame, settings: ViewSettings) -> Frame:
    """Return the picture of a frame.

    All pictures of a view have one size: that of the fused picture, twice as wide for `side`. A camera that
    is missing is never shown black: the other one takes its place, under a banner that says so (beside it,
    for `side`, stands a gray card with the same words).

    Args:
        frame: At least one of its cameras is there.
        settings: The view.

    Returns:
        uint8, (H, W) or (H, W, 3) BGR; it may be one of the frame's own arrays: do not write to it.
    """
    infrared, visible = _infrared(frame, settings.palette), frame.visible
    if settings.view is View.side:
        return _side_by_side(frame, infrared, visible)
    if infrared is None or visible is None:
        alone = visible if infrared is None else infrared
        assert alone is not None
        return _announced(frame, alone)
    if settings.view is View.fused:
        # Pairs that could not be fused do not reach viewers; one that does shows its visible half.
        return _announced(frame, visible if frame.fused is None else frame.fused)
    if settings.view is View.visible:
        return _announced(frame, visible)
    if settings.view is View.ir:
        return _announced(frame, infrared)
    if settings.view is View.blend:
        return _announced(frame, _blended(infrared, visible, settings.blend, frame.warp))
    return _announced(frame, _with_edges(visible, frame))


def announcement(frame: StreamFrame) -> str | None:
    """Return what must be said about a frame in one short line, None where all is well."""
    if frame.infrared is None:
        return f"infrared {_absence(frame.states[0])}: visible only"
    if frame.visible is None:
        return f"visible {_absence(frame.states[1])}: infrared only"
    return "infrared held: shutter closed" if frame.is_infrared_frozen else None


def _absence(state: SourceState) -> str:
    # A live source without a frame is behind: its newest frame is too old to go with the other's.
    return "late" if state is SourceState.live else state.value


def _announced(frame: StreamFrame, picture: Frame) -> Frame:
    text = announcement(frame)
    return picture if text is None else with_banner(picture, text)


def _infrared(frame: StreamFrame, palette: Palette) -> Frame | None:
    gray = frame.aligned_infrared
    if gray is None:
        return None
    picture = palette.apply(gray)
    if frame.warp is not None:
        picture[_coverage(frame.warp) == 0] = _UNSEEN
    return picture


def _side_by_side(frame: StreamFrame, infrared: Frame | None, visible: Frame | None) -> Frame:
    present = infrared if visible is None else visible
    assert present is not None
    height, width = present.shape[:2]
    halves = []
    for name, half, state in zip(("infrared", "visible"), (infrared, visible), frame.states, strict=True):
        if half is None:
            halves.append(card((width, height), f"{name} {_absence(state)}"))
        elif name == "infrared" and frame.is_infrared_frozen:
            halves.append(with_banner(half, "infrared held: shutter closed"))
        else:
            halves.append(half)
    return np.hstack([_coloured(half) for half in halves])


def _blended(infrared: Frame, visible: Frame, share: float, warp: Warp | None) -> Frame:
    below = _coloured(visible)
    mixed = cast(Frame, cv2.addWeighted(infrared, share, below, 1 - share, 0))
    if warp is not None:
        unseen = _coverage(warp) == 0
        mixed[unseen] = below[unseen]
    return mixed


def _with_edges(visible: Frame, frame: StreamFrame) -> Frame:
    gray = frame.aligned_infrared
    assert gray is not None
    smooth = cv2.GaussianBlur(gray, (0, 0), 1.2)
    # Scharr's kernel weighs 32 for a slope of one level a pixel.
    dx, dy = (cv2.Scharr(smooth, cv2.CV_32F, 1 - axis, axis, scale=1 / 32) for axis in (0, 1))
    opacity = np.clip((cv2.magnitude(dx, dy) - _FAINT_EDGE) / (_FULL_EDGE - _FAINT_EDGE), 0, 1)
    if frame.warp is not None:
        # The border of infrared's field of view is no edge of the scene.
        opacity[cv2.erode(_coverage(frame.warp), np.ones((9, 9), np.uint8), borderValue=255) == 0] = 0
    below = _coloured(visible)
    colour = np.full_like(below, EDGE_COLOUR_BGR)
    return cast(Frame, cv2.blendLinear(colour, below, opacity, 1 - opacity))


@functools.lru_cache(maxsize=4)
def _coverage(warp: Warp) -> NDArray[np.uint8]:
    """Return where infrared sees something, (H, W): 0 where it does not."""
    from refusion.ops import warped

    width, height = warp.source_size
    return warped(np.full((height, width), 255, np.uint8), warp)


def _coloured(picture: Frame) -> Frame:
    return cast(Frame, cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)) if picture.ndim == 2 else picture
