"""What comes before and after every request: who may ask, and answers that give nothing away."""

from __future__ import annotations

import logging

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from refusion.errors import BackendError, OutputError, RefusionError
from refusion.stream.web.access import Access, Caller

_LOG = logging.getLogger(__name__)

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_OPEN_TO_LINKS = "/"
"""The page itself may be opened from anywhere; what it shows is asked for from its own origin."""


def guard(access: Access, *, login_page: bytes) -> Middleware:
    """Return the middleware of all requests.

    Args:
        access: Who may ask.
        login_page: Shown in place of the page to who has no token.
    """

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        caller = _caller(request, access)
        if not access.admits_host(caller):
            return _refusal(403, "this viewer answers to the names of this machine alone, such as localhost")
        is_page = request.path == _OPEN_TO_LINKS and request.method == "GET"
        if not is_page and not access.admits_origin(caller):
            return _refusal(403, "this viewer answers to its own page alone")
        if not access.knows(caller):
            if is_page:
                return web.Response(status=401, body=login_page, content_type="text/html", charset="utf-8")
            if not _is_decoration(request.path):
                return _refusal(401, "this viewer needs its token")
        response = await _answered(request, handler)
        if is_page and access.token is not None and caller.token is not None and not response.prepared:
            response.set_cookie(
                _cookie_name(request), access.session, httponly=True, samesite="Strict", path="/"
            )
        return response

    return check


def add_headers(application: web.Application) -> None:
    """Send the headers that protect the page with every response, also with streams and errors."""

    async def add(request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(_HEADERS)
        # The default names the versions of Python and aiohttp.
        response.headers["Server"] = "refusion"
        response.headers.setdefault("Cache-Control", "no-store")

    application.on_response_prepare.append(add)


async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Return the handler's answer; whatever goes wrong becomes one line."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        text = "the request is too large" if error.status == 413 else (error.text or error.reason)
        return _refusal(
            error.status, text.partition(": ")[2] if text.startswith(f"{error.status}: ") else text
        )
    except OutputError as error:
        return _refusal(507, str(error))
    except BackendError as error:
        return _refusal(501, str(error))
    except RefusionError as error:
        return _refusal(400, str(error))
    except ConnectionError:
        raise
    except Exception:
        _LOG.exception("%s %s failed", request.method, request.path)
        return _refusal(500, "this failed, and should not have; the server's log says why")


def _caller(request: web.Request, access: Access) -> Caller:
    return Caller(
        host=request.headers.get("Host"),
        origin=request.headers.get("Origin"),
        fetch_site=request.headers.get("Sec-Fetch-Site"),
        authorization=request.headers.get("Authorization"),
        token=request.query.get("token"),
        session=request.cookies.get(_cookie_name(request)),
    )


def _cookie_name(request: web.Request) -> str:
    # Browsers do not keep the cookies of two ports of one host apart.
    port = (request.headers.get("Host") or "").rpartition(":")[2]
    return f"refusion_{port if port.isdigit() else 'viewer'}"


def _is_decoration(path: str) -> bool:
    return path.startswith("/static/")


def _refusal(status: int, text: str) -> web.Response:
    return web.json_response({"error": text}, status=status)
