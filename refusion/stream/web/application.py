"""The viewer's addresses: the page, the pictures, and what the page asks of the stream."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

from refusion.errors import InputError
from refusion.stream.monitoring import MonitoredStream
from refusion.stream.prometheus import CONTENT_TYPE, metrics_text
from refusion.stream.rendering import View
from refusion.stream.web.access import Access
from refusion.stream.web.actions import Actions
from refusion.stream.web.channels import ChannelPool
from refusion.stream.web.fields import Fields
from refusion.stream.web.guard import add_headers, guard
from refusion.stream.web.reports import percentiles, status_report
from refusion.stream.web.viewers import MOST_VIEWERS, JpegFeeds, Viewer, Viewers
from refusion.thermal import Palette

_LOG = logging.getLogger(__name__)

LARGEST_BODY = 64 * 1024
STATUS_INTERVAL_S = 0.5
_HEARTBEAT_S = 10.0
_FAREWELL_S = 1.0
_KEPT_HISTORY = 240
"""Medians of stages: those of two minutes, for the chart of who comes later."""
_BOUNDARY = b"refusion-picture"
_STATIC = Path(__file__).parent / "static"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class Application:
    """One stream's viewer. For the event loop's thread; the stream's own calls run in others."""

    def __init__(self, stream: MonitoredStream, access: Access, *, has_webrtc: bool) -> None:
        self._stream = stream
        self._access = access
        self._has_webrtc = has_webrtc
        self.pool = ChannelPool(stream)
        self.viewers = Viewers(self.pool)
        self._feeds = JpegFeeds(self.pool)
        self._actions = Actions(stream, self.viewers, has_webrtc=has_webrtc)
        self._sockets: set[web.WebSocketResponse] = set()
        self._history: deque[tuple[float, dict[str, float]]] = deque(maxlen=_KEPT_HISTORY)
        self._status = ""
        self._ticked = asyncio.Event()

    def build(self) -> web.Application:
        """Return the web application."""
        # Files are looked up by name in this table alone, so no path leads out of it.
        files = {path.name: path for path in _STATIC.iterdir() if path.suffix in _TYPES}
        application = web.Application(
            middlewares=[guard(self._access, login_page=files["token.html"].read_bytes())],
            client_max_size=LARGEST_BODY,
        )
        add_headers(application)
        router = application.router
        router.add_get("/", _file(files.pop("index.html")))
        for name, path in files.items():
            router.add_get(f"/static/{name}", _file(path))
        router.add_get("/live", self._live)
        router.add_get("/mjpeg", self._mjpeg)
        router.add_get("/metrics", self._metrics)
        router.add_get("/api/status", self._status_once)
        self._actions.add_to(router)
        return application

    async def run(self, stopping: asyncio.Event) -> None:
        """Tell all pages of the stream's state, again and again until it stops."""
        while not stopping.is_set():
            report = await self._report()
            medians = {name: values["p50"] for name, values in report["stages"].items() if values}
            self._history.append((time.monotonic(), medians))
            self._status = json.dumps(report)
            self._ticked.set()
            self._ticked = asyncio.Event()
            try:
                await asyncio.wait_for(stopping.wait(), STATUS_INTERVAL_S)
            except asyncio.TimeoutError:
                continue

    async def close(self) -> None:
        """Tell all pages that the stream has ended, and free everything."""
        await asyncio.gather(*(_farewell(socket) for socket in self._sockets))
        self._feeds.close_all()
        await self.viewers.close_all()
        await self.pool.close()

    async def _live(self, request: web.Request) -> web.WebSocketResponse:
        viewer = self.viewers.open()
        if viewer is None:
            raise _too_many()
        socket = web.WebSocketResponse(heartbeat=_HEARTBEAT_S, max_msg_size=4096)
        try:
            await socket.prepare(request)
            self._sockets.add(socket)
            await socket.send_json(self._welcome(viewer))
            sender = asyncio.create_task(self._send_status(socket))
            try:
                async for message in socket:
                    if message.type is not WSMsgType.CLOSE:
                        await socket.close(message=b"pages send nothing here")
            finally:
                sender.cancel()
                await asyncio.gather(sender, return_exceptions=True)
        except ConnectionError:
            _LOG.debug("a viewer left while it was told of the stream")
        finally:
            self._sockets.discard(socket)
            await self.viewers.close(viewer)
        return socket

    def _welcome(self, viewer: Viewer) -> dict[str, Any]:
        return {
            "type": "welcome",
            "viewer": viewer.name,
            "webrtc": self._has_webrtc,
            "history": [(time.monotonic() - time_s, medians) for time_s, medians in self._history],
            "views": [{"name": v.name, "title": v.value.title, "text": v.value.text} for v in View],
            "palettes": [{"name": p.value, "title": p.value.replace("-", " ")} for p in Palette],
        }

    async def _send_status(self, socket: web.WebSocketResponse) -> None:
        """Send each status; a page that is too slow misses some."""
        while not socket.closed:
            ticked = self._ticked
            if self._status:
                await socket.send_str(self._status)
            await ticked.wait()

    async def _report(self) -> dict[str, Any]:
        status = await asyncio.to_thread(self._stream.status)
        report = status_report(status)
        report["stages"] |= {name: percentiles(p) for name, p in self.pool.clock.percentiles().items()}
        return report | {
            "type": "status",
            "viewers": len(self.viewers),
            "encodes": len(self.pool.reports()),
            "alignment": await asyncio.to_thread(self._actions.alignment.state),
        }

    async def _status_once(self, request: web.Request) -> web.Response:
        return web.json_response(await self._report())

    async def _metrics(self, request: web.Request) -> web.Response:
        text = metrics_text(await asyncio.to_thread(self._stream.status))
        return web.Response(body=text.encode(), headers={"Content-Type": CONTENT_TYPE})

    async def _mjpeg(self, request: web.Request) -> web.StreamResponse:
        """Send JPEGs one after the other, as the page's viewer sees them or as the query says."""
        if "viewer" in request.query:
            viewer = self.viewers.named(request.query["viewer"])
            feeds, settings = viewer.feeds, viewer.settings
        else:
            feeds, settings = self._feeds, Fields(_query(request)).view_settings()
            if len(feeds) >= MOST_VIEWERS:
                raise _too_many()
        feed = feeds.open(settings)
        response = web.StreamResponse(
            headers={
                "Content-Type": f"multipart/x-mixed-replace; boundary={_BOUNDARY.decode()}",
                "Cache-Control": "no-store",
            }
        )
        try:
            await response.prepare(request)
            await response.write(b"--" + _BOUNDARY + b"\r\n")
            while (data := await feed.next()) is not None:
                head = f"Content-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n".encode()
                # Browsers show a picture once the next boundary is there, so it goes out at once.
                await response.write(head + data + b"\r\n--" + _BOUNDARY + b"\r\n")
        except ConnectionError:
            _LOG.debug("a viewer left while it was sent pictures")
        finally:
            feeds.close(feed)
        return response


async def _farewell(socket: web.WebSocketResponse) -> None:
    async def leave() -> None:
        await socket.send_json({"type": "ended"})
        await socket.close()

    try:
        await asyncio.wait_for(leave(), _FAREWELL_S)
    except (asyncio.TimeoutError, ConnectionError):
        _LOG.info("a viewer could not be told that the stream has ended")


def _too_many() -> web.HTTPException:
    return web.HTTPServiceUnavailable(text=f"there are {MOST_VIEWERS} viewers already, and no more at once")


def _query(request: web.Request) -> dict[str, Any]:
    values: dict[str, Any] = dict(request.query)
    if "blend" in values:
        try:
            values["blend"] = float(values["blend"])
        except ValueError:
            raise InputError(f"'blend' must be a number, not {values['blend']!r}") from None
    return values


def _file(path: Path) -> Callable[[web.Request], Awaitable[web.Response]]:
    data, kind = path.read_bytes(), _TYPES[path.suffix]

    async def send(request: web.Request) -> web.Response:
        return web.Response(
            body=data, content_type=kind, charset="utf-8", headers={"Cache-Control": "no-cache"}
        )

    return send
