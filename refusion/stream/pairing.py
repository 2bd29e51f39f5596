"""From two addresses to moments seen by both."""

from __future__ import annotations

from refusion.errors import UsageError
from refusion.stream.live_moments import LiveMoments
from refusion.stream.moments import MomentSource
from refusion.stream.recorded_moments import RecordedMoments
from refusion.stream.sources import SourceOptions, open_source
from refusion.stream.sources.addresses import scheme_of
from refusion.stream.sources.synthetic import SharedScene

_NS_PER_MS = 1_000_000
_MOST_MS = 24 * 3600 * 1e3
_MOST_HZ = 1e6


def open_moments(
    infrared: str,
    visible: str,
    *,
    max_skew_ms: float | None = None,
    clock_offset_ms: float = 0.0,
    max_age_ms: float | None = None,
    realtime: bool = False,
    loop: bool = False,
    infrared_size: tuple[int, int] | None = None,
    infrared_rate_hz: float | None = None,
    visible_rate_hz: float | None = None,
    rtsp_transport: str = "tcp",
) -> MomentSource:
    """Open two sources as one source of moments.

    Recordings (files, folders, the synthetic scene) lose nothing: one moment for each frame of the faster
    one. Live sources keep what is newest.

    Args:
        infrared: Address of the infrared source: see `open_source`. The same `synthetic:` address for both
            gives both views of one scene.
        visible: Address of the visible source.
        max_skew_ms: Frames farther apart in time are not paired; None: 1.25 periods of the slower source,
            at least 50 ms.
        clock_offset_ms: Added to the infrared frames' times: positive where its frames are newer than their
            times say.
        max_age_ms: A live frame older than this is not shown; None: three periods of the slower source, at
            least 500 ms.
        realtime: Whether recordings are played at the pace of cameras; frames that come too late are dropped.
        loop: Whether recordings start again, both together, when the longer one is at its end.
        infrared_size: Width and height asked of an infrared camera.
        infrared_rate_hz: Rate of a folder of infrared images (25 if None); also asked of a camera.
        visible_rate_hz: Likewise for visible.
        rtsp_transport: "tcp" or "udp".

    Raises:
        InputError: A source cannot be used; the message says which and why, without passwords.
        UsageError: An option does not fit.
    """
    for name, value in (("max skew", max_skew_ms), ("max age", max_age_ms)):
        if value is not None and not value > 0:
            raise UsageError(f"{name} must be above 0 ms, not {value:g}")
        if value is not None and value > _MOST_MS:
            raise UsageError(f"{name} must be at most {_MOST_MS:g} ms, a day, not {value:g}")
    if not abs(clock_offset_ms) <= _MOST_MS:
        raise UsageError(f"the clock offset must be at most {_MOST_MS:g} ms, a day, not {clock_offset_ms:g}")
    for name, rate_hz in (("infrared", infrared_rate_hz), ("visible", visible_rate_hz)):
        if rate_hz is not None and not 0 < rate_hz <= _MOST_HZ:
            raise UsageError(f"the {name} rate must be above 0 Hz and at most {_MOST_HZ:g}, not {rate_hz:g}")
    if rtsp_transport not in ("tcp", "udp"):
        raise UsageError(f"the RTSP transport must be tcp or udp, not '{rtsp_transport}'")
    scene = SharedScene(infrared) if infrared == visible and scheme_of(infrared) == "synthetic" else None
    options = SourceOptions(
        rate_hz=infrared_rate_hz, size=infrared_size, is_infrared=True, rtsp_transport=rtsp_transport
    )
    source_infrared = open_source(infrared, options, scene=scene)
    options = SourceOptions(rate_hz=visible_rate_hz, rtsp_transport=rtsp_transport)
    source_visible = open_source(visible, options, scene=scene)
    max_skew_ns = None if max_skew_ms is None else round(max_skew_ms * _NS_PER_MS)
    clock_offset_ns = round(clock_offset_ms * _NS_PER_MS)
    if source_infrared.is_live and source_visible.is_live:
        return LiveMoments(
            source_infrared,
            source_visible,
            max_skew_ns=max_skew_ns,
            max_age_ns=None if max_age_ms is None else round(max_age_ms * _NS_PER_MS),
            clock_offset_ns=clock_offset_ns,
        )
    if source_infrared.is_live or source_visible.is_live:
        live, recorded = source_infrared, source_visible
        if source_visible.is_live:
            live, recorded = recorded, live
        raise UsageError(
            f"{live.uri} is live and {recorded.uri} is a recording: no moment is seen by both; "
            "give two live sources or two recordings"
        )
    return RecordedMoments(
        source_infrared,
        source_visible,
        max_skew_ns=max_skew_ns,
        clock_offset_ns=clock_offset_ns,
        realtime=realtime,
        loop=loop,
    )
