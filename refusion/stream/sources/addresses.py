"""Addresses of sources: which kind one is, and how it is shown to people."""

from __future__ import annotations

import re

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):", re.IGNORECASE)
_CAMERA = re.compile(r"(?:/dev/video)?(\d+)")
# The password runs to the last @: one that holds an @ or a / must not show in part.
_USER_INFO = re.compile(r"://([^:/@\s]*):\S*@")
_SECRET_KEYS = "password|passwd|pass|pwd|pw|token|secret|api_?key|auth"
_SECRET = re.compile(rf"\b((?:user-)?(?:{_SECRET_KEYS})=)[^&\s!]+", re.IGNORECASE)


def without_password(address: str) -> str:
    """Return an address, or a text that holds one, with each password as three asterisks.

    Example:
        >>> without_password("rtsp://admin:pa55@camera/ir?channel=1&token=abc")
        'rtsp://admin:***@camera/ir?channel=1&token=***'
    """
    return _SECRET.sub(r"\1***", _USER_INFO.sub(r"://\1:***@", address))


def scheme_of(address: str) -> str | None:
    """Return what stands before the first colon, in lower case; None for paths and numbers."""
    match = _SCHEME.match(address)
    return match[1].lower() if match else None


def camera_number(address: str) -> int | None:
    """Return N of "N" and "/dev/videoN", None for other addresses."""
    match = _CAMERA.fullmatch(address)
    return int(match[1]) if match else None
