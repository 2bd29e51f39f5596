"""Alignment by hand: moving infrared over visible, and points that are picked in both."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from refusion.errors import InputError
from refusion.frames import Frame
from refusion.stream.monitoring import MonitoredStream

if TYPE_CHECKING:
    from refusion.alignment import Calibration

LEAST_POINTS = 4
_KEPT_STILLS = 8
_NEWEST_S = 1.0


@dataclass(frozen=True, eq=False)
class Still:
    """Both cameras' pictures of one moment, for picking points in."""

    infrared: NDArray[np.uint8]
    visible: Frame


class ManualAlignment:
    """Changes a stream's calibration step by step. From any thread."""

    def __init__(self, stream: MonitoredStream) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._start: Calibration | None = None
        self._has_changed = False
        self._stills: OrderedDict[str, Still] = OrderedDict()
        self._still_count = 0

    def adjust(
        self, *, dx_px: float, dy_px: float, scale: float, rotation_deg: float, distance_m: float | None
    ) -> None:
        """Move infrared as it is seen now; see Calibration.adjusted.

        Raises:
            InputError: The cameras' sizes are not known yet, or a distance is given without parallax.
        """
        with self._lock:
            changed = self._current().adjusted(
                dx_px=dx_px, dy_px=dy_px, scale=scale, rotation_deg=rotation_deg, distance_m=distance_m
            )
            self._use(changed)

    def reset(self) -> None:
        """Go back to the calibration of the stream's start, or to the one saved last."""
        with self._lock:
            self._current()
            assert self._start is not None
            self._stream.set_calibration(self._start)
            self._has_changed = False

    def save(self) -> Path:
        """Write the calibration file; see MonitoredStream.save_calibration."""
        with self._lock:
            current = self._current()
            path = self._stream.save_calibration()
            self._start, self._has_changed = current, False
            return path

    def take_still(self) -> tuple[str, Still]:
        """Keep the pictures of this moment for picking points; returned with the name to ask for them by.

        Raises:
            InputError: One of the cameras is missing.
        """
        frame = self._stream.wait(-1, _NEWEST_S)
        if frame is None or frame.infrared is None or frame.visible is None:
            raise InputError("points can be picked while both cameras are live, and one of them is missing")
        with self._lock:
            self._still_count += 1
            name, still = str(self._still_count), Still(frame.infrared, frame.visible)
            self._stills[name] = still
            if len(self._stills) > _KEPT_STILLS:
                self._stills.popitem(last=False)
        return name, still

    def still(self, name: str) -> Still | None:
        """Return pictures kept before; None where they are not there any more."""
        with self._lock:
            return self._stills.get(name)

    def use_points(
        self, infrared: list[tuple[float, float]], visible: list[tuple[float, float]]
    ) -> float | None:
        """Calibrate from the same points seen in both pictures of a still.

        Args:
            infrared: Pixels of the infrared picture.
            visible: Pixels of the picture that is shown, so of the visible one after cropping.

        Returns:
            The residual error, pixels of the visible picture.

        Raises:
            InputError: Fewer than four points, not as many in one as in the other, or none that fit a map.
        """
        if len(infrared) != len(visible) or len(infrared) < LEAST_POINTS:
            raise InputError(
                f"a calibration needs the same points in both pictures, at least {LEAST_POINTS}; "
                f"there are {len(infrared)} in infrared and {len(visible)} in visible"
            )
        from refusion.alignment import calibrate_from_points

        with self._lock:
            before = self._current()
            corner = (before.crop.x, before.crop.y) if before.crop else (0, 0)
            found = calibrate_from_points(
                np.array(infrared, np.float64),
                np.array(visible, np.float64) + corner,
                before.infrared_size,
                before.visible_size,
            )
            # The picture keeps its size: a recording may be running.
            self._use(replace(found, crop=before.crop))
            return found.residual_px

    def state(self) -> dict[str, Any]:
        """Return what viewers are shown of the calibration, as JSON values."""
        with self._lock:
            calibration = self._stream.calibration
            if calibration is None:
                return {"available": False}
            by = calibration.adjustment
            distance = calibration.fusion_distance_m or calibration.reference_distance_m
            return {
                "available": True,
                "dx_px": by.offset_px[0],
                "dy_px": by.offset_px[1],
                "scale": by.scale,
                "rotation_deg": by.rotation_deg,
                "distance_m": distance if np.isfinite(distance) else None,
                "has_parallax": calibration.has_parallax,
                "method": calibration.method.name,
                "residual_px": calibration.residual_px,
                "has_changed": self._has_changed,
            }

    def _current(self) -> Calibration:
        calibration = self._stream.calibration
        if calibration is None:
            raise InputError("the cameras can be aligned once both have sent a picture; one has not yet")
        if self._start is None:
            self._start = calibration
        return calibration

    def _use(self, calibration: Calibration) -> None:
        self._stream.set_calibration(calibration)
        self._has_changed = True
