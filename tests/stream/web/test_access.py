"""Who may use the viewer."""

from __future__ import annotations

import pytest

from refusion.errors import UsageError
from refusion.stream.web.access import Access, Caller, host_of, is_loopback

TOKEN = "a-long-secret"


def caller(
    *,
    host: str | None = "localhost:8080",
    origin: str | None = None,
    fetch_site: str | None = None,
    authorization: str | None = None,
    token: str | None = None,
    session: str | None = None,
) -> Caller:
    return Caller(host, origin, fetch_site, authorization, token, session)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.4", False),
        ("", False),
        ("localhost.example.org", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("authority", "host"),
    [
        ("LocalHost:80", "localhost"),
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]:80", "::1"),
        ("[::1]", "::1"),
        ("::1", "::1"),
        ("evil.example:8080", "evil.example"),
    ],
)
def test_host_of(authority: str, host: str) -> None:
    assert host_of(authority) == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "camera.local"])
def test_network_needs_a_token(host: str) -> None:
    with pytest.raises(
        UsageError, match=f"the viewer at {host} would be open to the whole network: give it a token"
    ):
        Access(host, None)
    assert Access(host, TOKEN).token == TOKEN


@pytest.mark.parametrize("token", ["", "1234567"])
def test_token_has_a_length(token: str) -> None:
    with pytest.raises(UsageError, match="must have at least 8 characters"):
        Access("127.0.0.1", token)


@pytest.mark.parametrize(
    ("host", "admitted"),
    [("localhost:9000", True), ("127.0.0.1:8080", True), ("evil.example:8080", False), (None, False)],
)
def test_without_a_token_only_names_of_this_machine_are_answered_to(host: str | None, admitted: bool) -> None:
    assert Access("127.0.0.1", None).admits_host(caller(host=host)) is admitted
    assert Access("127.0.0.1", TOKEN).admits_host(caller(host=host))


@pytest.mark.parametrize(
    ("asking", "admitted"),
    [
        (caller(), True),
        (caller(origin="http://localhost:8080"), True),
        (caller(origin="http://localhost:8081"), False),
        (caller(origin="http://evil.example"), False),
        (caller(origin="null"), False),
        (caller(fetch_site="same-origin", origin="http://localhost:8080"), True),
        (caller(fetch_site="none"), True),
        (caller(fetch_site="cross-site"), False),
        (caller(fetch_site="same-site"), False),
    ],
)
def test_only_our_own_page_may_ask(asking: Caller, admitted: bool) -> None:
    assert Access("127.0.0.1", None).admits_origin(asking) is admitted


def test_token_in_the_address_in_the_header_or_the_cookie() -> None:
    access = Access("127.0.0.1", TOKEN)
    assert access.knows(caller(token=TOKEN))
    assert access.knows(caller(authorization=f"Bearer {TOKEN}"))
    assert access.knows(caller(session=access.session))
    for wrong in (
        caller(),
        caller(token=TOKEN[:-1]),
        caller(token="ä"),
        caller(token="\udcff"),  # as aiohttp decodes the byte 255 of a header
        caller(authorization=f"Bearer {TOKEN}\udcff"),
        caller(authorization=TOKEN),
        caller(authorization=f"Basic {TOKEN}"),
        caller(session=TOKEN),
        caller(session=""),
        caller(token=access.session),
    ):
        assert not access.knows(wrong)
    assert Access("127.0.0.1", None).knows(caller())
    assert Access("127.0.0.1", TOKEN).session != access.session
