"""WebRTC without a browser: a peer of aiortc's own watches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from moving_stream import SIZE, MovingStream

from refusion.errors import InputError
from refusion.stream.rendering import ViewSettings, render
from refusion.stream.web import WebServer
from refusion.stream.web.encoders import Codec, Encoded

from .waiting import wait_until

aiortc = pytest.importorskip("aiortc", reason="aiortc is not installed")

Ask = Callable[[str, dict[str, Any]], Awaitable[tuple[int, dict[str, Any]]]]


@asynccontextmanager
async def viewer_of(server: WebServer) -> AsyncIterator[tuple[str, Ask]]:
    """Open the viewer as a page does: a socket, and requests beside it."""
    import aiohttp

    async with aiohttp.ClientSession(server.url) as session, session.ws_connect("/live") as socket:
        name = (await socket.receive_json())["viewer"]

        async def ask(what: str, fields: dict[str, Any]) -> tuple[int, dict[str, Any]]:
            async with session.post(f"/api/{what}", json={"viewer": name, **fields}) as response:
                return response.status, await response.json()

        yield name, ask


async def watch(server: WebServer, stream: MovingStream) -> list[np.ndarray]:
    connection = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
    receiver = connection.addTransceiver("video", direction="recvonly").receiver
    await connection.setLocalDescription()
    async with viewer_of(server) as (_, ask):
        status, answer = await ask("webrtc", {"sdp": connection.localDescription.sdp})
        assert (status, answer["codec"]) == (200, "H264")
        description = aiortc.RTCSessionDescription(sdp=answer["sdp"], type="answer")
        await connection.setRemoteDescription(description)
        pictures = [(await receiver.track.recv()).to_ndarray(format="bgr24")]
        assert (await ask("webrtc/key", {}))[0] == 200
        assert (await ask("view", {"view": "side"}))[0] == 200
        while pictures[-1].shape[1] != 2 * SIZE[0]:
            pictures.append((await receiver.track.recv()).to_ndarray(format="bgr24"))
        assert (await ask("webrtc/close", {}))[0] == 200
        assert server.channels() == ()
    await connection.close()
    return pictures


def test_peer_sees_the_stream_and_its_change_of_view(server: WebServer, stream: MovingStream) -> None:
    pictures = asyncio.run(asyncio.wait_for(watch(server, stream), 30))
    assert pictures[0].shape == (SIZE[1], SIZE[0], 3)
    frame = wait_until(lambda: stream.wait(-1, 1.0))
    # The street stands still, and people move: another frame is similar.
    assert np.abs(pictures[0].astype(int) - render(frame, ViewSettings())).mean() < 12


def test_leaving_frees_the_channel(server: WebServer) -> None:
    async def leave() -> None:
        connection = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
        connection.addTransceiver("video", direction="recvonly")
        await connection.setLocalDescription()
        async with viewer_of(server) as (_, ask):
            assert (await ask("webrtc", {"sdp": connection.localDescription.sdp}))[0] == 200
            assert [report.viewers for report in server.channels()] == [1]
        await connection.close()

    asyncio.run(asyncio.wait_for(leave(), 30))
    wait_until(lambda: server.channels() == ())


@pytest.mark.parametrize(
    ("offer", "message"),
    [
        ("", "the offer must be a session description with exactly one video"),
        ("m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n", "with exactly one video"),
        ("m=video 9 x 96\r\nm=video 9 x 96\r\n", "with exactly one video"),
        ("v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n", "the offer cannot be accepted ("),
        ("m=video nine\r\na=candidate:1 1 udp x y.local 9 typ host\r\n", "the offer cannot be accepted ("),
    ],
)
def test_offer_that_is_none_gets_one_line(server: WebServer, offer: str, message: str) -> None:
    async def offered() -> tuple[int, dict[str, Any]]:
        async with viewer_of(server) as (_, ask):
            return await ask("webrtc", {"sdp": offer})

    status, answer = asyncio.run(asyncio.wait_for(offered(), 30))
    assert status == 400
    assert message in answer["error"]
    assert "\n" not in answer["error"]
    wait_until(lambda: server.channels() == ())


def test_track_that_falls_behind_begins_anew_with_a_key_picture() -> None:
    from refusion.stream.web.webrtc import PictureTrack

    async def fall_behind() -> list[int]:
        gaps: list[None] = []
        track = PictureTrack()
        track.on_gap = lambda: gaps.append(None)
        track.take(Encoded(b"before any key", 0, False))
        for pts in range(1, 40):
            track.take(Encoded(b"x", pts, is_key=pts == 1))
        assert len(gaps) == 1
        track.take(Encoded(b"key", 100, True))
        track.take(Encoded(b"x", 101, False))
        return [(await track.recv()).pts or 0 for _ in range(2)]

    assert asyncio.run(fall_behind()) == [100, 101]


def test_hidden_candidates_are_split_off() -> None:
    from refusion.stream.web.webrtc import without_hidden_candidates

    lines = [
        "m=video 9 UDP/TLS/RTP/SAVPF 96",
        "a=candidate:1 1 udp 2113937151 192.0.2.7 5000 typ host",
        "a=candidate:2 1 udp 2113937151 0a1b2c3d-0000-4000-8000-abcdefabcdef.local 5001 typ host",
        "a=end-of-candidates",
    ]
    prompt, hidden = without_hidden_candidates("\r\n".join(lines))
    assert prompt == f"{lines[0]}\r\n{lines[1]}\r\n"
    assert [(candidate.port, candidate.sdpMLineIndex) for candidate in hidden] == [(5001, 0)]


@pytest.mark.parametrize(("names", "codec"), [("VP8", Codec.vp8), ("H264", Codec.h264)])
def test_agreed_codec_is_the_first(names: str, codec: Codec) -> None:
    from refusion.stream.web.webrtc import agreed_codec

    answer = (
        f"v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 98 97\r\na=rtpmap:97 AV1/90000\r\na=rtpmap:98 {names}/90000\r\n"
    )
    assert agreed_codec(answer) is codec
    with pytest.raises(InputError, match="the browser offers neither H.264 nor VP8"):
        agreed_codec(answer.replace("98 97", "97 98"))
