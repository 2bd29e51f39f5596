"""Channels: one encode of one view, whatever the number of its viewers."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from refusion.frames import Frame
from refusion.stream.monitoring import MonitoredStream
from refusion.stream.rendering import ViewSettings, render
from refusion.stream.web.encoders import CLOCK, Codec, Encoded, encoder_of
from refusion.timing import StageClock

Take = Callable[[Encoded], None]
"""Is given each picture, in the event loop's thread, and must return at once."""

_WAIT_S = 0.2
_IDLE_S = 0.02
_REPEAT_S = 0.4
"""A picture that stands still is sent again: a browser finds out that it lost one by the next."""
_KEY_PAUSE_S = 0.3
"""Shortest time between two key pictures on request: they are large, and who loses packets asks often."""


@dataclass(frozen=True)
class ChannelReport:
    """Figures of one channel."""

    settings: ViewSettings
    codec: Codec
    viewers: int
    pictures: int
    """Encoded so far; each of them once, for all viewers."""


class Channel:
    """Renders and encodes the newest frame in its own thread: what is too slow skips frames."""

    def __init__(
        self, stream: MonitoredStream, settings: ViewSettings, codec: Codec, clock: StageClock
    ) -> None:
        self.settings = settings
        self.codec = codec
        self.pictures = 0
        self._stream = stream
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._takers: set[Take] = set()
        self._newest: Encoded | None = None
        self._key_wanted = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"refusion-web-{codec.name}", daemon=True)
        self._thread.start()

    @property
    def viewers(self) -> int:
        """Number of viewers at the moment."""
        return len(self._takers)

    def add(self, take: Take) -> None:
        """Give all further pictures to one more viewer, beginning with one that can be decoded."""
        self._takers.add(take)
        if self._newest is not None and self.codec is Codec.jpeg:
            take(self._newest)
        self.request_key()

    def remove(self, take: Take) -> None:
        """Give that viewer no more."""
        self._takers.discard(take)

    def request_key(self) -> None:
        """Ask for a picture that can be decoded by itself, soon."""
        if self.codec is not Codec.jpeg:
            self._key_wanted.set()

    @property
    def _is_repeated(self) -> bool:
        # JPEGs travel over TCP: they arrive, and who joins is given the newest.
        return self.codec is not Codec.jpeg

    def stop(self) -> threading.Thread:
        """Let the thread end, and return it to wait for."""
        self._stopping.set()
        self._takers.clear()
        return self._thread

    def _run(self) -> None:
        encoder = encoder_of(self.codec)
        picture: Frame | None = None
        index, last_pts, last_s, last_key_s = -1, -1, 0.0, -_KEY_PAUSE_S
        while not self._stopping.is_set():
            frame = self._stream.wait(index, _WAIT_S)
            if frame is not None:
                index = frame.index
                with self._clock.stage("browser view"):
                    picture = render(frame, self.settings)
            now_s = time.monotonic()
            if frame is None and (picture is None or not self._is_repeated or now_s - last_s < _REPEAT_S):
                # A stream that has ended may answer at once.
                self._stopping.wait(_IDLE_S)
                continue
            assert picture is not None
            last_s = now_s
            key = self._key_wanted.is_set() and now_s - last_key_s >= _KEY_PAUSE_S
            if key:
                self._key_wanted.clear()
            last_pts = max(last_pts + 1, round(now_s / CLOCK))
            with self._clock.stage("browser encode"):
                encoded = encoder.encode(picture, last_pts, key=key)
            if encoded is None:
                continue
            if encoded.is_key:
                last_key_s = now_s
            self.pictures += 1
            try:
                self._loop.call_soon_threadsafe(self._deliver, encoded)
            except RuntimeError:
                # The loop is closed: the server has stopped without waiting for this thread.
                return

    def _deliver(self, encoded: Encoded) -> None:
        self._newest = encoded
        for take in tuple(self._takers):
            take(encoded)


class ChannelPool:
    """The channels in use, by what they show. For the event loop's thread."""

    def __init__(self, stream: MonitoredStream) -> None:
        self.clock = StageClock()
        self._stream = stream
        self._channels: dict[tuple[ViewSettings, Codec], Channel] = {}
        self._stopped: list[threading.Thread] = []

    def join(self, settings: ViewSettings, codec: Codec, take: Take) -> Channel:
        """Return the channel of that view, made where nobody sees it yet, with one more viewer."""
        key = (settings, codec)
        if key not in self._channels:
            self._channels[key] = Channel(self._stream, settings, codec, self.clock)
        self._channels[key].add(take)
        return self._channels[key]

    def leave(self, channel: Channel, take: Take) -> None:
        """Take a viewer out of a channel; one without viewers ends."""
        channel.remove(take)
        if channel.viewers == 0 and self._channels.pop((channel.settings, channel.codec), None) is channel:
            self._stopped = [thread for thread in self._stopped if thread.is_alive()]
            self._stopped.append(channel.stop())

    def reports(self) -> tuple[ChannelReport, ...]:
        """Return the figures of all channels. From any thread."""
        return tuple(
            ChannelReport(channel.settings, channel.codec, channel.viewers, channel.pictures)
            for channel in tuple(self._channels.values())
        )

    async def close(self) -> None:
        """End all channels and wait for their threads."""
        threads = [*self._stopped, *(channel.stop() for channel in self._channels.values())]
        self._channels.clear()
        for thread in threads:
            await asyncio.to_thread(thread.join)


class Subscription:
    """What one viewer receives in one codec; its view can change. For the event loop's thread."""

    def __init__(self, pool: ChannelPool, settings: ViewSettings, codec: Codec, take: Take) -> None:
        self._pool = pool
        self._codec = codec
        self._take = take
        self._channel: Channel | None = pool.join(settings, codec, take)

    def show(self, settings: ViewSettings) -> None:
        """Receive another view from now on."""
        if self._channel is None or self._channel.settings == settings:
            return
        before, self._channel = self._channel, self._pool.join(settings, self._codec, self._take)
        self._pool.leave(before, self._take)

    def request_key(self) -> None:
        """Ask for a picture that can be decoded by itself."""
        if self._channel is not None:
            self._channel.request_key()

    def close(self) -> None:
        """Receive nothing more. Closing twice is harmless."""
        if self._channel is not None:
            channel, self._channel = self._channel, None
            self._pool.leave(channel, self._take)
