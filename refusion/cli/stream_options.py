"""Values of `refusion stream` that are more than one number."""

from __future__ import annotations

from refusion.errors import UsageError


def address_of(text: str) -> tuple[str, int]:
    """Return host and port of HOST:PORT, [IPV6]:PORT, or PORT alone (this machine only).

    Raises:
        UsageError: It is none of these.
    """
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise UsageError(f"--serve wants HOST:PORT, as in 127.0.0.1:8080, not '{text}'")
    return host.removeprefix("[").removesuffix("]") or "127.0.0.1", int(port)


def size_of(text: str) -> tuple[int, int]:
    """Return (width, height) of WIDTHxHEIGHT.

    Raises:
        UsageError: It is something else.
    """
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise UsageError(f"--ir-size wants WIDTHxHEIGHT, as in 160x120, not '{text}'")
    return int(width), int(height)


def span_of(text: str) -> float | tuple[float, float]:
    """Return (low, high) of LOW:HIGH, or the width of WIDTH, kelvin.

    Raises:
        UsageError: It is something else.
    """
    low, colon, high = text.partition(":")
    try:
        return (float(low), float(high)) if colon else float(low)
    except ValueError:
        raise UsageError(
            f"--span-kelvin wants LOW:HIGH, as in 280:320, or WIDTH, as in 20, not '{text}'"
        ) from None
