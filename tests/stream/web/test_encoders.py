"""Encoders: every picture comes out at once, and shows what went in."""

from __future__ import annotations

import av
import cv2
import numpy as np
import pytest

from refusion.frames import Frame
from refusion.stream.web.encoders import LARGEST_PX, Codec, encoder_of

DECODERS = {Codec.h264: "h264", Codec.vp8: "vp8"}


def picture(width: int, height: int, *, shift: int = 0) -> Frame:
    """Return a picture with a bright square on a coloured ground."""
    drawn = np.full((height, width, 3), (90, 60, 120), np.uint8)
    left = width // 4 + shift
    drawn[height // 4 : height // 2, left : left + width // 4] = (200, 220, 240)
    return drawn


def decoded(codec: Codec, packets: list[bytes]) -> list[Frame]:
    if codec is Codec.jpeg:
        return [cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) for data in packets]
    context = av.CodecContext.create(DECODERS[codec], "r")
    # Frame threads hold pictures back.
    context.thread_count = 1
    return [frame.to_ndarray(format="bgr24") for data in packets for frame in context.decode(av.Packet(data))]


@pytest.mark.parametrize("codec", Codec)
def test_pictures_come_out_one_by_one_and_alike(codec: Codec) -> None:
    encoder = encoder_of(codec)
    pictures = [picture(160, 120, shift=4 * number) for number in range(6)]
    encoded = [encoder.encode(shown, 3000 * number, key=False) for number, shown in enumerate(pictures)]
    assert all(encoded)
    assert [one.pts for one in encoded if one] == [3000 * number for number in range(6)]
    assert encoded[0] is not None
    assert encoded[0].is_key
    back = decoded(codec, [one.data for one in encoded if one])
    assert len(back) == 6
    for before, after in zip(pictures, back, strict=True):
        assert np.abs(before.astype(int) - after).mean() < 6


@pytest.mark.parametrize("codec", [Codec.h264, Codec.vp8])
def test_key_picture_on_request_is_one_to_begin_with(codec: Codec) -> None:
    encoder = encoder_of(codec)
    encoded = [encoder.encode(picture(160, 120, shift=n), 3000 * n, key=n == 3) for n in range(5)]
    assert [one.is_key for one in encoded if one] == [True, False, False, True, False]
    late = decoded(codec, [one.data for one in encoded[3:] if one])
    assert len(late) == 2
    assert np.abs(picture(160, 120, shift=3).astype(int) - late[0]).mean() < 6


@pytest.mark.parametrize("codec", Codec)
def test_size_may_change(codec: Codec) -> None:
    encoder = encoder_of(codec)
    first = encoder.encode(picture(160, 120), 0, key=False)
    second = encoder.encode(picture(320, 120), 3000, key=False)
    assert first is not None
    assert second is not None
    assert second.is_key
    assert decoded(codec, [second.data])[0].shape == (120, 320, 3)


@pytest.mark.parametrize("codec", Codec)
def test_gray_stays_gray_and_odd_sizes_work(codec: Codec) -> None:
    gray = np.full((75, 101), 140, np.uint8)
    encoded = encoder_of(codec).encode(gray, 0, key=True)
    assert encoded is not None
    back = decoded(codec, [encoded.data])[0]
    even = (75, 101) if codec is Codec.jpeg else (76, 102)
    assert back.shape[:2] == even
    assert np.abs(back.astype(int) - 140).max() <= 3


@pytest.mark.parametrize("codec", [Codec.h264, Codec.jpeg])
def test_large_pictures_are_shrunk(codec: Codec) -> None:
    encoded = encoder_of(codec).encode(picture(2560, 720), 0, key=True)
    assert encoded is not None
    assert decoded(codec, [encoded.data])[0].shape == (540, LARGEST_PX[0], 3)
