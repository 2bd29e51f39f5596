"""Viewers: who is watching, and what each has chosen to see."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

from refusion.errors import InputError
from refusion.stream.rendering import ViewSettings
from refusion.stream.web.channels import ChannelPool, Subscription
from refusion.stream.web.encoders import Codec, Encoded

if TYPE_CHECKING:
    from refusion.stream.web.webrtc import Peer

MOST_VIEWERS = 32


class JpegFeed:
    """The newest JPEG for one viewer: who is too slow misses some. For the event loop's thread."""

    def __init__(self, pool: ChannelPool, settings: ViewSettings) -> None:
        self._newest: Encoded | None = None
        self._arrived = asyncio.Event()
        self._is_closed = False
        self.subscription = Subscription(pool, settings, Codec.jpeg, self._take)

    async def next(self) -> bytes | None:
        """Wait for a picture that was not given yet; None once closed."""
        await self._arrived.wait()
        self._arrived.clear()
        return None if self._is_closed or self._newest is None else self._newest.data

    def close(self) -> None:
        """Receive nothing more. Closing twice is harmless."""
        self._is_closed = True
        self.subscription.close()
        self._arrived.set()

    def _take(self, encoded: Encoded) -> None:
        self._newest = encoded
        self._arrived.set()


class JpegFeeds:
    """Feeds that show one view together. For the event loop's thread."""

    def __init__(self, pool: ChannelPool) -> None:
        self._pool = pool
        self._feeds: set[JpegFeed] = set()

    def __len__(self) -> int:
        return len(self._feeds)

    def open(self, settings: ViewSettings) -> JpegFeed:
        """Return a new feed."""
        feed = JpegFeed(self._pool, settings)
        self._feeds.add(feed)
        return feed

    def show(self, settings: ViewSettings) -> None:
        """Show another view in all of them from now on."""
        for feed in self._feeds:
            feed.subscription.show(settings)

    def close(self, feed: JpegFeed) -> None:
        """End a feed; ending it twice is harmless."""
        self._feeds.discard(feed)
        feed.close()

    def close_all(self) -> None:
        """End all feeds."""
        for feed in tuple(self._feeds):
            self.close(feed)


class Viewer:
    """One open page. For the event loop's thread."""

    def __init__(self, pool: ChannelPool) -> None:
        self.name = secrets.token_urlsafe(12)
        self.settings = ViewSettings()
        self.peer: Peer | None = None
        self._pool = pool
        self.feeds = JpegFeeds(pool)

    def show(self, settings: ViewSettings) -> None:
        """Show another view from now on, however it is watched."""
        self.settings = settings
        if self.peer is not None:
            self.peer.show(settings)
        self.feeds.show(settings)

    async def connect(self, offer: str) -> tuple[str, Codec]:
        """Answer the page's offer of a WebRTC connection, which replaces the one before; see Peer.answer."""
        from refusion.stream.web.webrtc import Peer

        await self.hang_up()
        peer = Peer(self._pool, self.settings, self._peer_closed)
        self.peer = peer
        try:
            answer = await peer.answer(offer)
        except BaseException:
            await peer.close()
            self._peer_closed(peer)
            raise
        peer.show(self.settings)
        return answer

    async def hang_up(self) -> None:
        """End the WebRTC connection, if there is one."""
        peer, self.peer = self.peer, None
        if peer is not None:
            await peer.close()

    async def close(self) -> None:
        """Free all that the viewer uses."""
        self.feeds.close_all()
        await self.hang_up()

    def _peer_closed(self, peer: Peer) -> None:
        if self.peer is peer:
            self.peer = None


class Viewers:
    """All open pages. For the event loop's thread."""

    def __init__(self, pool: ChannelPool) -> None:
        self._pool = pool
        self._viewers: dict[str, Viewer] = {}

    def __len__(self) -> int:
        return len(self._viewers)

    def open(self) -> Viewer | None:
        """Return a new viewer; None where there are too many."""
        if len(self._viewers) >= MOST_VIEWERS:
            return None
        viewer = Viewer(self._pool)
        self._viewers[viewer.name] = viewer
        return viewer

    def named(self, name: str) -> Viewer:
        """Return an open viewer.

        Raises:
            InputError: There is none of that name.
        """
        try:
            return self._viewers[name]
        except KeyError:
            raise InputError("this viewer is not connected any more: reload the page") from None

    async def close(self, viewer: Viewer) -> None:
        """Free a viewer. Closing it twice is harmless."""
        self._viewers.pop(viewer.name, None)
        await viewer.close()

    async def close_all(self) -> None:
        """Free all viewers."""
        for viewer in tuple(self._viewers.values()):
            await self.close(viewer)
