"""How infrared lies on visible in one stream: decided with the first pair, adjustable while it runs."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from refusion.errors import UsageError
from refusion.frames import Frame
from refusion.warp import Warp

if TYPE_CHECKING:
    from refusion.alignment import Calibration, Refiner

Size = tuple[int, int]


class Registration:
    """Holds the calibration of one stream. May be shared by threads.

    The crop is decided once, so that the fused picture keeps its size whatever is adjusted later.

    Args:
        calibration: The user's; None takes both views as showing the same, whatever their sizes.
        path: File that `save` writes.
        refine: Whether slow changes are followed while the stream runs.
    """

    def __init__(self, calibration: Calibration | None, *, path: Path, refine: bool = False) -> None:
        self.path = path
        self._given = calibration
        self._refine = refine
        self._refiner: Refiner | None = None
        self._current: Calibration | None = None
        self._warp: Warp | None = None
        self._lock = threading.Lock()

    @property
    def calibration(self) -> Calibration | None:
        """The calibration in use; None before the first pair."""
        with self._lock:
            return self._current

    def of_pair(self, infrared: Frame, visible: Frame) -> tuple[Frame, Warp | None]:
        """Return visible in the geometry of the fused picture, and the warp from there to infrared.

        The warp is None where the two have one geometry.

        Raises:
            InputError: The calibration is for other sizes.
        """
        with self._lock:
            if self._current is None:
                self._decide(_size(infrared), _size(visible))
            elif self._refiner is not None:
                self._take(self._refiner.current())
            assert self._current is not None
            return self._current.cropped(visible), self._warp

    def of_visible(self, visible: Frame) -> Frame:
        """Return visible alone in the geometry of the fused picture.

        Raises:
            InputError: The calibration is for another size.
        """
        with self._lock:
            if self._current is not None:
                return self._current.cropped(visible)
            if self._given is None:
                return visible
            return self._given.for_sizes(self._given.infrared_size, _size(visible)).cropped(visible)

    @property
    def warp(self) -> Warp | None:
        """The warp of the last pair; None before the first, too."""
        with self._lock:
            return self._warp

    def observe(self, infrared: Frame, visible: Frame) -> None:
        """Show a pair, infrared 8-bit and visible uncropped, to the refinement if it is on; takes no time."""
        with self._lock:
            refiner = self._refiner
        if refiner is not None:
            refiner.offer(infrared, visible)

    def change(self, calibration: Calibration) -> None:
        """Use another calibration from the next pair on.

        Raises:
            UsageError: No pair was seen yet, so there is nothing to change.
            InputError: It is for other sizes.
        """
        with self._lock:
            if self._current is None:
                raise UsageError("there is nothing to align yet: wait until both cameras show a picture")
            fitting = calibration.for_sizes(self._current.infrared_size, self._current.visible_size)
            changed = replace(fitting, crop=self._current.crop)
            before, self._refiner = self._refiner, self._refiner_of(changed)
            self._take(changed)
        # Outside of the lock: it may be in the middle of an estimate, and frames go on meanwhile.
        if before is not None:
            before.close()

    def save(self) -> Path:
        """Write the calibration to its file and return the path.

        Raises:
            UsageError: No pair was seen yet.
            OutputError: It cannot be written.
        """
        with self._lock:
            current = self._current
        if current is None:
            raise UsageError("there is no calibration to save yet: wait until both cameras show a picture")
        current.save(self.path, force=True)
        return self.path

    def close(self) -> None:
        """Stop the refinement; harmless when called twice."""
        with self._lock:
            refiner, self._refiner = self._refiner, None
        if refiner is not None:
            refiner.close()

    def _decide(self, infrared: Size, visible: Size) -> None:
        from refusion.alignment import Calibration

        if self._given is None:
            decided = Calibration.full_view(infrared, visible)
        else:
            decided = self._given.for_sizes(infrared, visible)
        self._refiner = self._refiner_of(decided)
        self._take(decided)

    def _refiner_of(self, calibration: Calibration) -> Refiner | None:
        if not self._refine:
            return None
        from refusion.alignment import Refiner

        return Refiner(calibration)

    def _take(self, calibration: Calibration) -> None:
        if calibration is not self._current:
            self._current = calibration
            self._warp = None if calibration.is_identity and calibration.crop is None else calibration.warp()


def _size(image: Frame) -> Size:
    return image.shape[1], image.shape[0]
