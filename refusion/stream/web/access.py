"""Who may use the viewer: addresses, the token, and requests that other web pages send."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from dataclasses import dataclass, field

from refusion.errors import UsageError

SHORTEST_TOKEN = 8


def is_loopback(host: str) -> bool:
    """Tell whether an address can be reached from this machine alone; a name other than localhost cannot be
    known to be."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def host_of(authority: str) -> str:
    """Return the host of "host:port", "host" or "[address]:port", in lower case."""
    if authority.startswith("["):
        return authority[1:].partition("]")[0].lower()
    return authority.rpartition(":")[0].lower() if authority.count(":") == 1 else authority.lower()


@dataclass(frozen=True)
class Caller:
    """What a request says of who sends it; None where it says nothing."""

    host: str | None
    origin: str | None
    fetch_site: str | None
    authorization: str | None
    token: str | None
    """Of the query."""
    session: str | None
    """Of the cookie."""


@dataclass(frozen=True)
class Access:
    """The rules of one server."""

    host: str
    """Address that is listened on."""
    token: str | None
    session: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    """What the cookie of an admitted browser holds: so that the token itself is not stored there."""

    def __post_init__(self) -> None:
        """Check address and token.

        Raises:
            UsageError: Others can reach the address and there is no token, or it is too short.
        """
        if self.token is None and not is_loopback(self.host):
            raise UsageError(
                f"the viewer at {self.host} would be open to the whole network: give it a token, "
                "or serve on 127.0.0.1"
            )
        if self.token is not None and len(self.token) < SHORTEST_TOKEN:
            raise UsageError(f"the viewer's token must have at least {SHORTEST_TOKEN} characters")

    def admits_host(self, caller: Caller) -> bool:
        """Tell whether the name a request was sent to is ours.

        Without a token, a page whose name is pointed at this machine (DNS rebinding) could otherwise read
        everything. With one it could not: it has neither token nor cookie.
        """
        return self.token is not None or (caller.host is not None and is_loopback(host_of(caller.host)))

    def admits_origin(self, caller: Caller) -> bool:
        """Tell whether a request comes from our own page, or from no page at all."""
        if caller.fetch_site not in (None, "same-origin", "none"):
            return False
        return caller.origin is None or caller.origin.partition("://")[2] == caller.host

    def knows(self, caller: Caller) -> bool:
        """Tell whether a request has the token or the cookie, where one is needed."""
        if self.token is None:
            return True
        scheme, _, bearer = (caller.authorization or "").partition(" ")
        return (
            _equal(caller.session, self.session)
            or _equal(caller.token, self.token)
            or (scheme.lower() == "bearer" and _equal(bearer.strip(), self.token))
        )


def _equal(given: str | None, expected: str) -> bool:
    return given is not None and hmac.compare_digest(
        # aiohttp decodes bytes of headers that are no UTF-8 to what UTF-8 cannot hold.
        given.encode(errors="backslashreplace"),
        expected.encode(),
    )
