"""How an infrared camera's picture maps onto a visible camera's."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from refusion.alignment.geometry import (
    Matrix,
    Points,
    centre_of,
    inverse,
    mapped,
    normalised,
    resized,
    similarity,
    translation,
)
from refusion.alignment.lens import Lens
from refusion.errors import InputError
from refusion.frames import Frame, size_text
from refusion.warp import Warp

ASPECT_TOLERANCE = 0.005
"""Relative. Sizes are rounded to pixels: 106x80 stands for 640x480, and 640x512 does not."""


class CalibrationMethod(enum.Enum):
    """Where a calibration comes from."""

    full_view = "full_view"
    """Assumed: both cameras see the same."""
    scene = "scene"
    board = "board"
    points = "points"


class Crop(NamedTuple):
    """A part of the visible picture, pixels."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Adjustment:
    """Changes by hand: infrared turned and scaled about the middle of the visible view, then moved."""

    offset_px: tuple[float, float] = (0.0, 0.0)
    """To the right and down, pixels of the visible picture."""
    scale: float = 1.0
    """Above 1: infrared appears larger."""
    rotation_deg: float = 0.0
    """Above 0: infrared appears turned clockwise."""

    def followed_by(self, later: Adjustment) -> Adjustment:
        """Return the adjustment that equals this one and then another."""
        angle = math.radians(later.rotation_deg)
        cos, sin = later.scale * math.cos(angle), later.scale * math.sin(angle)
        x, y = self.offset_px
        offset = (cos * x - sin * y + later.offset_px[0], sin * x + cos * y + later.offset_px[1])
        return Adjustment(offset, self.scale * later.scale, self.rotation_deg + later.rotation_deg)


@dataclass(frozen=True, eq=False)
class Calibration:
    """The map from each pixel of the visible picture to its place in the infrared picture.

    A visible pixel u is taken to infrared by, in this order: the inverse of `adjustment`; the visible lens
    (undistorted); the parallax of the fusion distance, u - parallax_px_m * (1 / d - 1 / d0); `homography`;
    the infrared lens (distorted).

    The parallax follows from the pinhole model. Let the infrared camera stand b metres beside the visible one
    (x to the right, y down) and look in the same direction. What is d metres away appears in the visible
    picture at u, and to a camera in the infrared one's place at u - f * b / d, f being the visible camera's
    focal length in pixels. A map that holds at distance d0 contains f * b / d0 already, so another distance d
    adds f * b * (1 / d - 1 / d0); parallax_px_m is f * b.
    """

    infrared_size: tuple[int, int]
    """Width and height, pixels."""
    visible_size: tuple[int, int]
    """Width and height, pixels, before cropping."""
    homography: Matrix
    """(3, 3): from (x, y, 1) of the undistorted visible to the undistorted infrared picture, at the reference
    distance."""
    infrared_lens: Lens | None = None
    visible_lens: Lens | None = None
    crop: Crop | None = None
    """The part of the visible picture that is shown; None: all of it."""
    parallax_px_m: tuple[float, float] = (0.0, 0.0)
    """Visible focal length (pixels) times baseline (metres), x and y; see the class."""
    reference_distance_m: float = math.inf
    """Distance at which the homography holds."""
    fusion_distance_m: float | None = None
    """Distance at which the pictures shall coincide; None: the reference distance."""
    adjustment: Adjustment = field(default_factory=Adjustment)
    method: CalibrationMethod = CalibrationMethod.full_view
    residual_px: float | None = None
    """Error that the estimation states of itself, pixels of the visible picture."""
    created: datetime | None = None

    def __post_init__(self) -> None:
        """Check what can be checked.

        Raises:
            InputError: A field is impossible.
        """
        matrix = np.array(self.homography, np.float64)
        if min(*self.infrared_size, *self.visible_size) < 1:
            raise InputError(
                f"a calibration's sizes must be positive, not {self.infrared_size} and {self.visible_size}"
            )
        if matrix.shape != (3, 3) or not np.isfinite(matrix).all() or matrix[2, 2] == 0:
            raise InputError("a calibration's homography must be 3x3 finite numbers, the last of them not 0")
        with np.errstate(all="ignore"):
            matrix = normalised(matrix)
            determinant = np.linalg.det(matrix)
        if not (1e-12 <= abs(determinant) < math.inf):  # nan, too, fails to be in there
            raise InputError("a calibration's homography must be invertible")
        for name, distance in (
            ("reference_distance_m", self.reference_distance_m),
            ("fusion_distance_m", self.fusion_distance_m),
        ):
            if distance is not None and not distance > 0:
                raise InputError(
                    f"a calibration's {name} must be a positive number of metres, not {distance}"
                )
        if not self.adjustment.scale > 0:
            raise InputError(f"a calibration's scale must be positive, not {self.adjustment.scale}")
        if self.crop is not None:
            x, y, width, height = self.crop
            if (
                min(x, y) < 0
                or min(width, height) < 1
                or x + width > self.visible_size[0]
                or (y + height > self.visible_size[1])
            ):
                raise InputError(
                    f"a calibration's crop must lie in the visible picture of {_text(self.visible_size)}, "
                    f"which {width}x{height} at ({x}, {y}) does not"
                )
        matrix.setflags(write=False)
        object.__setattr__(self, "homography", matrix)

    @classmethod
    def full_view(cls, infrared_size: tuple[int, int], visible_size: tuple[int, int]) -> Calibration:
        """Return the assumption for cameras that are not calibrated: both look at the same, about the middle.

        Where the sizes differ in aspect, infrared covers the visible picture and is cut at two sides.
        """
        scale = min(i / v for i, v in zip(infrared_size, visible_size, strict=True))
        at_infrared, at_visible = centre_of(infrared_size), centre_of(visible_size)
        matrix = (
            translation(*at_infrared)
            @ np.diag([scale, scale, 1.0])
            @ translation(-at_visible[0], -at_visible[1])
        )
        return cls(infrared_size, visible_size, matrix)

    @property
    def output_size(self) -> tuple[int, int]:
        """Width and height of the view that both are shown in: the visible one, cropped."""
        return (self.crop.width, self.crop.height) if self.crop else self.visible_size

    @cached_property
    def is_identity(self) -> bool:
        """Whether both pictures coincide as they are, so that no warp is needed."""
        if self.infrared_size != self.visible_size or self.infrared_lens or self.visible_lens:
            return False
        corners = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]) * self.visible_size
        return bool(np.abs(self.places(corners) - corners).max() < 1e-6)

    def places(self, pixels: Points) -> Points:
        """Return where pixels of the whole visible picture lie in the infrared picture, (N, 2).

        NaN where the infrared camera cannot see what they show.
        """
        moved = mapped(inverse(self.adjustment_matrix), np.asarray(pixels, np.float64))
        if self.visible_lens:
            moved = self.visible_lens.undistorted(moved)
        moved = mapped(self.homography, moved - self._parallax_px())
        return self.infrared_lens.distorted(moved) if self.infrared_lens else moved

    @property
    def adjustment_matrix(self) -> Matrix:
        """(3, 3): how the adjustment moves infrared in the visible picture."""
        by = self.adjustment
        return similarity(
            centre_of(self.visible_size), scale=by.scale, rotation_deg=by.rotation_deg, offset_px=by.offset_px
        )

    def _parallax_px(self) -> Points:
        distance = self.fusion_distance_m or self.reference_distance_m
        return np.array(self.parallax_px_m) * (1 / distance - 1 / self.reference_distance_m)

    def warp(self) -> Warp:
        """Return the warp from the output view to infrared; the same object each time."""
        return self._warp

    @cached_property
    def _warp(self) -> Warp:
        corner = np.array(self.crop[:2] if self.crop else (0, 0), np.float64)
        return Warp.of(
            lambda pixels: self.places(pixels + corner), size=self.output_size, source_size=self.infrared_size
        )

    def cropped(self, visible: Frame) -> Frame:
        """Return the output view of a visible picture: a view of its memory, no copy.

        Raises:
            InputError: It has another size than the calibration is for.
        """
        if visible.shape[1::-1] != self.visible_size:
            raise InputError(
                f"the visible picture has {size_text(visible)}, "
                f"its calibration is for {_text(self.visible_size)}"
            )
        if self.crop is None:
            return visible
        x, y, width, height = self.crop
        return visible[y : y + height, x : x + width]

    def adjusted(
        self,
        *,
        dx_px: float = 0.0,
        dy_px: float = 0.0,
        scale: float = 1.0,
        rotation_deg: float = 0.0,
        distance_m: float | None = None,
    ) -> Calibration:
        """Return the calibration with infrared moved by hand, relative to how it is; the crop stays.

        Args:
            dx_px: How far infrared shall move to the right in the visible picture, pixels.
            dy_px: How far it shall move down.
            scale: Factor on infrared's size, about the middle of the visible picture.
            rotation_deg: Angle to turn infrared by, clockwise, about that middle.
            distance_m: New fusion distance; None keeps it.

        Raises:
            InputError: Scale or distance is not positive, or the parallax that a distance needs is unknown.
        """
        if not (math.isfinite(scale) and scale > 0):
            raise InputError(f"the scale of an adjustment must be positive, not {scale}")
        if not all(map(math.isfinite, (dx_px, dy_px, rotation_deg))):
            raise InputError("an adjustment's offsets and rotation must be finite numbers")
        if distance_m is not None and not self.has_parallax:
            raise InputError(
                "a fusion distance needs the cameras' parallax: calibrate with --baseline-m, or set "
                "parallax_px_m in the calibration file"
            )
        later = Adjustment((dx_px, dy_px), scale, rotation_deg)
        return replace(
            self,
            adjustment=self.adjustment.followed_by(later),
            fusion_distance_m=self.fusion_distance_m if distance_m is None else distance_m,
        )

    def save(self, path: Path, *, force: bool = False) -> None:
        """Write the calibration as YAML; see `load_calibration`.

        Raises:
            OutputError: The file is there already and force is off, or cannot be written.
        """
        from refusion.alignment.calibration_file import save_calibration

        save_calibration(self, path, force=force)

    @property
    def has_parallax(self) -> bool:
        """Whether the parallax is known, so that a fusion distance means something."""
        return self.parallax_px_m != (0.0, 0.0)

    def for_sizes(self, infrared_size: tuple[int, int], visible_size: tuple[int, int]) -> Calibration:
        """Return the calibration for the cameras at other resolutions of the same aspect.

        Raises:
            InputError: A size has another aspect: the camera then shows another part of its view.
        """
        if (infrared_size, visible_size) == (self.infrared_size, self.visible_size):
            return self
        for name, old, new in (
            ("infrared", self.infrared_size, infrared_size),
            ("visible", self.visible_size, visible_size),
        ):
            if abs(new[0] * old[1] / (new[1] * old[0]) - 1) > ASPECT_TOLERANCE:
                raise InputError(
                    f"the calibration is for {name} pictures of {_text(old)}, these have {_text(new)}: "
                    "another aspect; calibrate again at this size"
                )
        scale = np.array([visible_size[0] / self.visible_size[0], visible_size[1] / self.visible_size[1]])
        to_infrared = resized(self.infrared_size, infrared_size)
        from_visible = inverse(resized(self.visible_size, visible_size))
        infrared_lens, visible_lens = self.infrared_lens, self.visible_lens
        return replace(
            self,
            infrared_size=infrared_size,
            visible_size=visible_size,
            homography=to_infrared @ self.homography @ from_visible,
            infrared_lens=infrared_lens and infrared_lens.for_size(self.infrared_size, infrared_size),
            visible_lens=visible_lens and visible_lens.for_size(self.visible_size, visible_size),
            crop=self.crop and _scaled_crop(self.crop, scale),
            parallax_px_m=(self.parallax_px_m[0] * scale[0], self.parallax_px_m[1] * scale[1]),
            adjustment=replace(
                self.adjustment,
                offset_px=(self.adjustment.offset_px[0] * scale[0], self.adjustment.offset_px[1] * scale[1]),
            ),
            residual_px=None if self.residual_px is None else self.residual_px * float(scale.mean()),
        )


def now() -> datetime:
    """Return the time as calibrations state it: UTC, whole seconds."""
    return datetime.now(timezone.utc).replace(microsecond=0)


def _scaled_crop(crop: Crop, scale: Points) -> Crop:
    left, top = np.ceil(np.array(crop[:2]) * scale).astype(int)
    right, bottom = np.floor((np.array(crop[:2]) + crop[2:]) * scale).astype(int)
    return Crop(int(left), int(top), max(1, int(right - left)), max(1, int(bottom - top)))


def _text(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
