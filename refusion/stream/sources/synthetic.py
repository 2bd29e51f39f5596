"""The synthetic scene as two recordings: what each camera sees of it."""

from __future__ import annotations

import threading
from collections import OrderedDict

from refusion.errors import InputError, UsageError
from refusion.frames import FramePair
from refusion.stream.sources.interface import TimedImage
from refusion.stream.synthetic import SyntheticScene

_KEPT_PAIRS = 16
"""Two readers of one scene are at most as far apart as the frames that each reads ahead."""


class SharedScene:
    """A scene that two readers look at; each of its pairs is rendered once."""

    def __init__(self, uri: str) -> None:
        """Set the scene up; see SyntheticScene.from_uri.

        Raises:
            InputError: The address is malformed.
        """
        self.uri = uri
        try:
            self.scene = SyntheticScene.from_uri(uri)
        except UsageError as error:
            raise InputError(str(error)) from None
        self._lock = threading.Lock()
        self._pairs: OrderedDict[int, FramePair] = OrderedDict()

    def pair(self, index: int) -> FramePair:
        """Return pair number `index`."""
        with self._lock:
            if index not in self._pairs:
                self._pairs[index] = self.scene.pair(index)
                if len(self._pairs) > _KEPT_PAIRS:
                    self._pairs.popitem(last=False)
            return self._pairs[index]


class SyntheticView:
    """What one camera sees of a scene."""

    is_live = False

    def __init__(self, shared: SharedScene, *, is_infrared: bool) -> None:
        self.uri = shared.uri
        self._shared, self._is_infrared = shared, is_infrared

    def open(self, stop: threading.Event) -> SyntheticReader:
        """Begin at the first frame."""
        del stop  # Rendering one frame takes milliseconds.
        return SyntheticReader(self._shared, is_infrared=self._is_infrared)


class SyntheticReader:
    """Renders frame after frame."""

    damaged = 0
    start_ns = None

    def __init__(self, shared: SharedScene, *, is_infrared: bool) -> None:
        self._shared, self._is_infrared = shared, is_infrared
        self._next = 0
        self.rate_hz = shared.scene.rate_hz

    def read(self) -> TimedImage | None:
        """Return the next frame, None after the last."""
        if self._next == self._shared.scene.frame_count:
            return None
        pair = self._shared.pair(self._next)
        self._next += 1
        return TimedImage(pair.a if self._is_infrared else pair.b, pair.time_ns)

    def close(self) -> None:
        """Nothing is held open."""
