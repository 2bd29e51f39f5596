"""What pages ask of the stream, by JSON objects: views, connections, snapshots, recordings, alignment."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import cv2
from aiohttp import web

from refusion.errors import BackendError, InputError, OutputError, RefusionError
from refusion.stream.monitoring import MonitoredStream
from refusion.stream.rendering import render
from refusion.stream.web.alignment import ManualAlignment
from refusion.stream.web.fields import Fields
from refusion.stream.web.viewers import Viewers

_LOG = logging.getLogger(__name__)

_KEPT_SNAPSHOTS = 64
_MOST_POINTS = 100
_NEWEST_S = 1.0

Answer = Callable[[Fields], Awaitable[dict[str, Any]]]


class Actions:
    """Answers to what pages ask. For the event loop's thread; the stream's own calls run in others."""

    def __init__(self, stream: MonitoredStream, viewers: Viewers, *, has_webrtc: bool) -> None:
        self.alignment = ManualAlignment(stream)
        self._stream = stream
        self._viewers = viewers
        self._has_webrtc = has_webrtc
        self._snapshots: OrderedDict[str, Path] = OrderedDict()

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Give each action its address."""
        router.add_get("/api/snapshots/{name}", self._download_snapshot)
        router.add_get("/api/stills/{name}/{camera}.png", self._still_picture)
        answers: dict[str, Answer] = {
            "view": self._set_view,
            "webrtc": self._connect,
            "webrtc/key": self._request_key,
            "webrtc/close": self._hang_up,
            "snapshot": self._take_snapshot,
            "recording": self._set_recording,
            "stills": self._take_still,
            "alignment/adjust": self._adjust,
            "alignment/reset": self._reset_alignment,
            "alignment/save": self._save_alignment,
            "alignment/points": self._align_by_points,
        }
        for name, answer in answers.items():
            router.add_post(f"/api/{name}", _json(answer))

    async def _set_view(self, fields: Fields) -> dict[str, Any]:
        viewer = self._viewers.named(fields.text("viewer"))
        viewer.show(fields.view_settings())
        return {}

    async def _connect(self, fields: Fields) -> dict[str, Any]:
        viewer = self._viewers.named(fields.text("viewer"))
        offer = fields.text("sdp")
        if not self._has_webrtc:
            raise BackendError("WebRTC needs aiortc: pip install 'refusion[web]'")
        sdp, codec = await viewer.connect(offer)
        return {"sdp": sdp, "codec": codec.value}

    async def _request_key(self, fields: Fields) -> dict[str, Any]:
        viewer = self._viewers.named(fields.text("viewer"))
        if viewer.peer is not None:
            viewer.peer.request_key()
        return {}

    async def _hang_up(self, fields: Fields) -> dict[str, Any]:
        await self._viewers.named(fields.text("viewer")).hang_up()
        return {}

    async def _take_snapshot(self, fields: Fields) -> dict[str, Any]:
        settings = self._viewers.named(fields.text("viewer")).settings

        def save() -> Path:
            frame = self._stream.wait(-1, _NEWEST_S)
            if frame is None:
                raise InputError("there is no picture yet")
            return self._stream.save_snapshot(render(frame, settings))

        path = await asyncio.to_thread(save)
        name = secrets.token_urlsafe(12)
        self._snapshots[name] = path
        if len(self._snapshots) > _KEPT_SNAPSHOTS:
            self._snapshots.popitem(last=False)
        return {"file": path.name, "path": str(path), "download": f"/api/snapshots/{name}"}

    async def _download_snapshot(self, request: web.Request) -> web.StreamResponse:
        path = self._snapshots.get(request.match_info["name"])
        if path is None or not path.is_file():
            raise web.HTTPNotFound(text="this snapshot is not there any more")
        name = path.name.encode("ascii", "replace").decode().replace('"', "")
        return web.FileResponse(path, headers={"Content-Disposition": f'attachment; filename="{name}"'})

    async def _set_recording(self, fields: Fields) -> dict[str, Any]:
        start = fields.flag("recording")
        change = self._stream.start_recording if start else self._stream.stop_recording
        path = await asyncio.to_thread(change)
        return {"recording": start, "path": None if path is None else str(path)}

    async def _take_still(self, fields: Fields) -> dict[str, Any]:
        name, still = await asyncio.to_thread(self.alignment.take_still)
        pictures = {"infrared": still.infrared, "visible": still.visible}
        return {
            camera: {
                "address": f"/api/stills/{name}/{camera}.png",
                "width": picture.shape[1],
                "height": picture.shape[0],
            }
            for camera, picture in pictures.items()
        }

    async def _still_picture(self, request: web.Request) -> web.Response:
        still = self.alignment.still(request.match_info["name"])
        pictures = {} if still is None else {"infrared": still.infrared, "visible": still.visible}
        picture = pictures.get(request.match_info["camera"])
        if picture is None:
            raise web.HTTPNotFound(text="this picture is not there any more")
        _, data = await asyncio.to_thread(cv2.imencode, ".png", picture)
        return web.Response(body=data.tobytes(), content_type="image/png")

    async def _adjust(self, fields: Fields) -> dict[str, Any]:
        await asyncio.to_thread(
            self.alignment.adjust,
            dx_px=fields.number("dx_px", low=-1e4, high=1e4, default=0),
            dy_px=fields.number("dy_px", low=-1e4, high=1e4, default=0),
            scale=fields.number("scale", low=0.1, high=10, default=1),
            rotation_deg=fields.number("rotation_deg", low=-180, high=180, default=0),
            distance_m=fields.optional_number("distance_m", low=0.1, high=1e5),
        )
        return await self._alignment_state()

    async def _reset_alignment(self, fields: Fields) -> dict[str, Any]:
        await asyncio.to_thread(self.alignment.reset)
        return await self._alignment_state()

    async def _save_alignment(self, fields: Fields) -> dict[str, Any]:
        path = await asyncio.to_thread(self.alignment.save)
        return {"path": str(path), **await self._alignment_state()}

    async def _align_by_points(self, fields: Fields) -> dict[str, Any]:
        infrared = fields.points("infrared", most=_MOST_POINTS)
        visible = fields.points("visible", most=_MOST_POINTS)
        residual_px = await asyncio.to_thread(self.alignment.use_points, infrared, visible)
        return {"residual_px": residual_px, **await self._alignment_state()}

    async def _alignment_state(self) -> dict[str, Any]:
        return {"alignment": await asyncio.to_thread(self.alignment.state)}


def _json(answer: Answer) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        if request.content_type != "application/json":
            raise InputError("the request's content type must be application/json")
        fields = Fields.parse(await request.read())
        try:
            return web.json_response(await answer(fields))
        except (OutputError, BackendError) as error:
            _LOG.warning("%s", error)
            raise
        except RefusionError as error:
            _LOG.info("%s", error)
            raise

    return handle
