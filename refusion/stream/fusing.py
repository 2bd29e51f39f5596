"""From a moment of two sources to a finished frame: gain control, registration, fusion."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from refusion.frames import checked_frame
from refusion.fused_stream import FusedStream
from refusion.fuser import Fuser
from refusion.ranges import RangePolicy
from refusion.stream.moments import Moment
from refusion.stream.monitoring import StreamFrame
from refusion.stream.registration import Registration
from refusion.tasks import Chroma
from refusion.thermal import GainControl, ThermalPicture

Finish = Callable[[], StreamFrame]
"""Waits for a frame that is in the works."""


class MomentFuser:
    """Fuses the moments of one stream, in order. Not for sharing between threads.

    Colour is decided once: visible frames with three channels give colour, gray ones a gray picture.
    """

    def __init__(
        self, fuser: Fuser, registration: Registration, gain: GainControl, output_range: RangePolicy
    ) -> None:
        self._fuser = fuser
        self._registration = registration
        self._gain = gain
        self._output_range = output_range
        self._stream: FusedStream | None = None
        self._numbers = itertools.count()

    def begin(self, moment: Moment) -> Finish:
        """Begin to fuse a moment; what is returned waits for its frame.

        Raises:
            InputError: A frame cannot be used, or the calibration is for other sizes.
            BackendError: The device failed.
        """
        thermal = self._thermal(moment)
        if thermal is None or moment.visible is None:
            frame = self._single(moment, thermal)
            return lambda: frame
        raw = checked_frame(moment.visible.image, "visible")
        visible, warp = self._registration.of_pair(thermal.image, raw)
        self._registration.observe(thermal.image, raw)
        if self._stream is None:
            self._stream = self._fuser.stream(
                chroma=Chroma.B if visible.ndim == 3 else Chroma.NONE, output_range=self._output_range
            )
        pending = self._stream.submit(thermal.image, visible, warp)
        index = next(self._numbers)

        def finish() -> StreamFrame:
            return StreamFrame(
                index=index,
                time_ns=moment.time_ns,
                fused=pending.result()[0],
                infrared=thermal.image,
                visible=visible,
                warp=warp,
                skew_ns=moment.skew_ns,
                states=moment.states,
                is_infrared_frozen=thermal.is_frozen,
            )

        return finish

    def _thermal(self, moment: Moment) -> ThermalPicture | None:
        if moment.infrared is None:
            return None
        with self._fuser.clock.stage("thermal"):
            return self._gain(moment.infrared.image, moment.infrared.time_ns)

    def _single(self, moment: Moment, thermal: ThermalPicture | None) -> StreamFrame:
        visible = None
        if moment.visible is not None:
            visible = self._registration.of_visible(checked_frame(moment.visible.image, "visible"))
        return StreamFrame(
            index=next(self._numbers),
            time_ns=moment.time_ns,
            fused=None,
            infrared=None if thermal is None else thermal.image,
            visible=visible,
            warp=self._registration.warp,
            skew_ns=None,
            states=moment.states,
            is_infrared_frozen=thermal is not None and thermal.is_frozen,
        )
