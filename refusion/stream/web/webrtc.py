"""Live pictures over WebRTC: the packets of a channel, sent as they are to one browser."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable

import aiortc
import av
from aiortc.sdp import candidate_from_sdp

from refusion.errors import InputError
from refusion.stream.rendering import ViewSettings
from refusion.stream.web.channels import ChannelPool, Subscription
from refusion.stream.web.encoders import CLOCK, Codec, Encoded

_LONGEST_QUEUE = 30
"""Pictures; a browser that is further behind begins anew with a key picture."""
_NEGOTIATION_S = 10.0
_PREFERRED = (Codec.h264, Codec.vp8)


class PictureTrack(aiortc.MediaStreamTrack):
    """A video track of pictures that are encoded already; aiortc splits them into RTP packets."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self.on_gap: Callable[[], None] = lambda: None
        self._queue: deque[Encoded] = deque()
        self._arrived = asyncio.Event()
        self._needs_key = True

    def begin_anew(self) -> None:
        """Drop what waits, and send nothing before the next key picture."""
        self._queue.clear()
        self._needs_key = True

    def take(self, encoded: Encoded) -> None:
        """Send a picture."""
        if encoded.is_key:
            self._needs_key = False
        if self._needs_key:
            return
        if len(self._queue) >= _LONGEST_QUEUE:
            self.begin_anew()
            self.on_gap()
            return
        self._queue.append(encoded)
        self._arrived.set()

    async def recv(self) -> av.Packet[av.stream.Stream]:
        """Return the next picture; called by aiortc."""
        while not self._queue:
            if self.readyState != "live":
                raise aiortc.mediastreams.MediaStreamError
            self._arrived.clear()
            await self._arrived.wait()
        encoded = self._queue.popleft()
        packet = av.Packet(encoded.data)
        packet.pts, packet.time_base = encoded.pts, CLOCK
        return packet


class Peer:
    """The connection to one browser."""

    def __init__(self, pool: ChannelPool, settings: ViewSettings, on_closed: Callable[[Peer], None]) -> None:
        self._pool = pool
        self._settings = settings
        self._on_closed = on_closed
        self._track = PictureTrack()
        self._subscription: Subscription | None = None
        self._late: asyncio.Task[None] | None = None
        # No STUN server: viewers are on this machine or its network, and nobody else is told of them.
        self._connection = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
        self._connection.add_listener("connectionstatechange", self._state_changed)

    async def answer(self, offer: str) -> tuple[str, Codec]:
        """Accept a browser's offer of a connection.

        Args:
            offer: Session description of a browser that wants to receive one video.

        Returns:
            The session description to give back, and the codec that was agreed on.

        Raises:
            InputError: It is no such offer, or the browser knows neither H.264 nor VP8.
        """
        if len(re.findall(r"^m=", offer, re.MULTILINE)) != 1 or not re.search(
            r"^m=video ", offer, re.MULTILINE
        ):
            raise InputError("the offer must be a session description with exactly one video")
        known = aiortc.RTCRtpSender.getCapabilities("video").codecs
        try:
            transceiver = self._connection.addTransceiver(self._track, direction="sendonly")
            transceiver.setCodecPreferences(
                [codec for wanted in _PREFERRED for codec in known if codec.name == wanted.value]
            )
            prompt, hidden = without_hidden_candidates(offer)
            description = aiortc.RTCSessionDescription(sdp=prompt, type="offer")
            await self._connection.setRemoteDescription(description)
            await asyncio.wait_for(self._connection.setLocalDescription(), _NEGOTIATION_S)
        except Exception as error:  # aiortc raises whatever its parser stumbles over
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise InputError(f"the offer cannot be accepted ({reason})") from error
        self._late = asyncio.create_task(self._add_candidates(hidden))
        text = self._connection.localDescription.sdp
        codec = agreed_codec(text)
        self._track.on_gap = self.request_key
        self._subscription = Subscription(self._pool, self._settings, codec, self._track.take)
        return text, codec

    def show(self, settings: ViewSettings) -> None:
        """Send another view from now on."""
        if settings == self._settings:
            return
        self._settings = settings
        if self._subscription is not None:
            self._track.begin_anew()
            self._subscription.show(settings)

    def request_key(self) -> None:
        """Send a picture that can be decoded by itself, soon."""
        if self._subscription is not None:
            self._subscription.request_key()

    async def close(self) -> None:
        """Hang up. Closing twice is harmless."""
        if self._subscription is not None:
            self._subscription.close()
        if self._late is not None:
            self._late.cancel()
            await asyncio.gather(self._late, return_exceptions=True)
        await self._connection.close()

    async def _add_candidates(self, candidates: list[aiortc.RTCIceCandidate]) -> None:
        await asyncio.gather(*map(self._connection.addIceCandidate, candidates))
        await self._connection.addIceCandidate(None)

    async def _state_changed(self) -> None:
        if self._connection.connectionState in ("failed", "closed"):
            self._on_closed(self)
            await self.close()


def without_hidden_candidates(offer: str) -> tuple[str, list[aiortc.RTCIceCandidate]]:
    """Split off the addresses that a browser hides behind names of multicast DNS.

    Looking them up takes a second, and is of use only where we cannot be reached first: the browser knows our
    addresses from the answer, and its own are learnt from its packets.

    Returns:
        The offer that does not wait for them, and the candidates that they are.
    """
    prompt, hidden = [], []
    for line in offer.splitlines():
        attribute, _, value = line.partition(":")
        if attribute == "a=candidate" and re.search(r" \S+\.local \d+ typ ", value):
            candidate = candidate_from_sdp(value)
            candidate.sdpMLineIndex = 0
            hidden.append(candidate)
        elif line != "a=end-of-candidates":
            prompt.append(line)
    return "\r\n".join([*prompt, ""]), hidden


def agreed_codec(answer: str) -> Codec:
    """Return the first codec of a session description's video: what the sender will use.

    Raises:
        InputError: It is none that we encode.
    """
    media = re.search(r"^m=video \d+ \S+ (\d+)", answer, re.MULTILINE)
    if media:
        name = re.search(rf"^a=rtpmap:{media[1]} ([^/]+)/", answer, re.MULTILINE)
        if name and name[1] in (codec.value for codec in _PREFERRED):
            return Codec(name[1])
    raise InputError("the browser offers neither H.264 nor VP8")
