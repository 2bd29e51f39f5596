"""The server of the viewer, in a thread of its own."""

from __future__ import annotations

import asyncio
import errno
import importlib.util
import ipaddress
import socket
import threading
from concurrent.futures import Future
from types import TracebackType
from urllib.parse import quote

from refusion.errors import BackendError, OutputError, UsageError
from refusion.stream.monitoring import MonitoredStream
from refusion.stream.web.access import Access
from refusion.stream.web.channels import ChannelPool, ChannelReport

_START_S = _CLOSE_S = 10.0
_FAREWELL_S = 1.0


class WebServer:
    """Shows a running stream to browsers: a page with the live picture and its controls.

    The page needs no other server: neither files nor addresses of others are used. WebRTC's packets go
    straight to the browser by UDP, over any of this machine's network addresses; they are encrypted, and only
    a page that was admitted can ask for them. Where that fails, the page shows JPEGs over HTTP.

    Args:
        stream: What is shown.
        host: Address to listen on; others than loopback need a token.
        port: Port to listen on; 0 takes any that is free.
        token: What a browser must bring along once (`url` holds it), then a cookie does; programs send it
            as `Authorization: Bearer TOKEN`.

    Raises:
        UsageError: The address can be reached by others and there is no token, or it is too short; or the
            port is none.

    Examples:
        >>> with WebServer(stream) as server:  # doctest: +SKIP
        ...     print(server.url)
        http://127.0.0.1:8080/
    """

    def __init__(
        self,
        stream: MonitoredStream,
        *,
        host: str = "127.0.0.1",
        port: int = 8080,
        token: str | None = None,
    ) -> None:
        if not 0 <= port <= 65535:
            raise UsageError(f"the viewer's port must be from 0 to 65535, not {port}")
        self._stream = stream
        self._access = Access(host, token)
        self._host = host
        self._port = port
        self._pool: ChannelPool | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Address to open in a browser, with the token; names this machine where all networks are served."""
        query = "" if self._access.token is None else f"?token={quote(self._access.token, safe='')}"
        host = f"[{self._host}]" if ":" in self._host else self._host
        if _is_any(self._host):
            host = socket.gethostname()
        return f"http://{host}:{self._port}/{query}"

    @property
    def port(self) -> int:
        """Port that is listened on, once started."""
        return self._port

    def channels(self) -> tuple[ChannelReport, ...]:
        """Return what is being encoded at the moment, and for how many viewers."""
        return () if self._pool is None else self._pool.reports()

    def start(self) -> None:
        """Begin to listen.

        Raises:
            BackendError: aiohttp is not installed.
            OutputError: The port is taken, or the address is not this machine's.
        """
        if importlib.util.find_spec("aiohttp") is None:
            raise BackendError(
                "the viewer needs aiohttp, which is not installed: pip install 'refusion[web]'"
            )
        listening = _listen(self._host, self._port)
        self._port = listening.getsockname()[1]
        ready: Future[None] = Future()
        self._thread = threading.Thread(
            target=self._run, args=(listening, ready), name="refusion-web", daemon=True
        )
        self._thread.start()
        ready.result(_START_S)

    def close(self) -> None:
        """Tell all viewers that the stream has ended, and stop. Closing twice is harmless."""
        thread, self._thread = self._thread, None
        if thread is None or self._loop is None or self._stopping is None:
            return
        self._loop.call_soon_threadsafe(self._stopping.set)
        thread.join(_CLOSE_S)

    def __enter__(self) -> WebServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, listening: socket.socket, ready: Future[None]) -> None:
        with listening:
            try:
                asyncio.run(self._serve(listening, ready))
            except BaseException as error:
                if ready.done():
                    raise
                ready.set_exception(error)

    async def _serve(self, listening: socket.socket, ready: Future[None]) -> None:
        from aiohttp import web

        from refusion.stream.web.application import Application

        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        has_webrtc = importlib.util.find_spec("aiortc") is not None
        application = Application(self._stream, self._access, has_webrtc=has_webrtc)
        self._pool = application.pool
        runner = web.AppRunner(application.build(), access_log=None, shutdown_timeout=_FAREWELL_S)
        await runner.setup()
        try:
            await web.SockSite(runner, listening).start()
            ready.set_result(None)
            await application.run(self._stopping)
        finally:
            await application.close()
            await runner.cleanup()


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError):
        raise OutputError(f"there is no address {host}: serve on 127.0.0.1 or 0.0.0.0") from None
    try:
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise OutputError(
                f"port {port} of {host} is taken by another program: choose another port, or end that program"
            ) from None
        if error.errno == errno.EADDRNOTAVAIL:
            raise OutputError(
                f"{host} is no address of this machine: serve on 127.0.0.1 or 0.0.0.0"
            ) from None
        raise OutputError(f"the viewer cannot listen on {host}:{port}: {error.strerror}") from None


def _is_any(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False
