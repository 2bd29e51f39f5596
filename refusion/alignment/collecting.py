"""Pairs of frames to calibrate with, from images, folders, videos and cameras."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from refusion.errors import InputError, UsageError
from refusion.files import IMAGE_SUFFIXES, images_by_stem, read_raw_image
from refusion.frames import Frame
from refusion.stream.moments import MomentSource, RawFrame
from refusion.stream.pairing import open_moments
from refusion.thermal import GainControl

Pair = tuple[Frame, Frame]
"""Infrared, 8-bit after gain control, and visible."""
_MOST_MOMENTS = 1000
"""Of a recording: enough to see the scene change, and decoded in seconds."""


def collect_pairs(
    infrared: str,
    visible: str,
    count: int,
    *,
    interval_s: float = 1.0,
    infrared_rate_hz: float | None = None,
    visible_rate_hz: float | None = None,
) -> list[Pair]:
    """Return pairs that both sources see at once.

    Args:
        infrared: An image, a folder or an address of `open_moments`. Images of two folders are matched by
            name where names are the same.
        visible: Likewise.
        count: Most pairs: spread evenly over a recording, the first of a camera.
        interval_s: Time between the pairs of cameras, so that the scene, or the board, moves in between.
        infrared_rate_hz: Rate of a folder; see `open_moments`.
        visible_rate_hz: Likewise.

    Raises:
        InputError: A source cannot be used, or no pair was seen.
        UsageError: One source is an image, the other is not.
    """
    images = [
        Path(source).suffix.lower() in IMAGE_SUFFIXES and Path(source).is_file()
        for source in (infrared, visible)
    ]
    if any(images):
        if not all(images):
            raise UsageError(f"{infrared} and {visible} must both be images, or both be something else")
        return [_pair(GainControl(), read_raw_image(Path(infrared)), read_raw_image(Path(visible)))]
    if Path(infrared).is_dir() and Path(visible).is_dir():
        stems_infrared, stems_visible = images_by_stem(Path(infrared)), images_by_stem(Path(visible))
        common = [stem for stem in stems_infrared if stem in stems_visible]
        if common:
            # Each by itself: such folders are photographs, not streams whose gain follows the frames.
            return [
                _pair(
                    GainControl(), read_raw_image(stems_infrared[stem]), read_raw_image(stems_visible[stem])
                )
                for stem in _spread(common, count)
            ]
    with open_moments(
        infrared, visible, infrared_rate_hz=infrared_rate_hz, visible_rate_hz=visible_rate_hz
    ) as moments:
        pairs = list(_live(moments, count, interval_s)) if moments.is_live else _recorded(moments, count)
    if not pairs:
        raise InputError(f"{infrared} and {visible} have no moment in common that both show")
    return pairs


def _pair(gain: GainControl, infrared: RawFrame, visible: RawFrame, time_ns: int = 0) -> Pair:
    if visible.dtype != np.uint8:
        raise InputError(
            "the visible source has 16 bits a pixel; give 8-bit pictures (are the two exchanged?)"
        )
    return gain(infrared, time_ns=time_ns).image, visible.astype(np.uint8, copy=False)


def _spread(items: list[str], count: int) -> list[str]:
    chosen = np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int)
    return [items[index] for index in chosen]


def _live(moments: MomentSource, count: int, interval_s: float) -> Iterator[Pair]:
    gain = GainControl()
    due_s = time.monotonic() + interval_s  # the first frames of many cameras are dark, or in a wrong range
    taken = 0
    for moment in moments:
        if moment.infrared is None or moment.visible is None:
            continue
        pair = _pair(gain, moment.infrared.image, moment.visible.image, moment.infrared.time_ns)
        if time.monotonic() >= due_s:
            due_s = time.monotonic() + interval_s
            taken += 1
            yield pair
        if taken == count:
            return


def _recorded(moments: MomentSource, count: int) -> list[Pair]:
    """Return pairs spread evenly, without keeping all: when they are too many, every other one goes."""
    gain = GainControl()
    kept: list[Pair] = []
    stride = 1
    for number, moment in enumerate(moments):
        if number == _MOST_MOMENTS:
            break
        if moment.infrared is None or moment.visible is None:
            continue
        pair = _pair(gain, moment.infrared.image, moment.visible.image, moment.infrared.time_ns)
        if number % stride == 0:
            kept.append(pair)
        if len(kept) > 2 * count:
            kept, stride = kept[::2], 2 * stride
    chosen = np.linspace(0, len(kept) - 1, min(count, len(kept))).round().astype(int)
    return [kept[index] for index in chosen]
