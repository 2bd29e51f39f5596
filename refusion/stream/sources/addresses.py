"""Addresses of sources: which kind one is, and how it is shown to people."""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import parse_qsl

from refusion.errors import InputError
from refusion.stream.sources.interface import SourceOptions

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):", re.IGNORECASE)
_CAMERA = re.compile(r"(?:/dev/video)?(\d{1,6})(?:\?(.*))?", re.ASCII)
_SIZE = re.compile(r"(\d{1,6})x(\d{1,6})", re.ASCII)
# The password runs to the last @: one that holds an @ or a / must not show in part.
_USER_INFO = re.compile(r"://([^:/@\s]*):\S*@")
_SECRET_KEYS = "password|passwd|pass|pwd|pw|token|secret|api_?key|auth"
_SECRET = re.compile(rf"\b((?:user-)?(?:{_SECRET_KEYS})=)[^&\s!]+", re.IGNORECASE)


def without_password(address: str) -> str:
    """Return an address, or a text that holds one, with each password as three asterisks.

    Examples:
        >>> without_password("rtsp://admin:pa55@camera/ir?channel=1&token=abc")
        'rtsp://admin:***@camera/ir?channel=1&token=***'
    """
    return _SECRET.sub(r"\1***", _USER_INFO.sub(r"://\1:***@", address))


def scheme_of(address: str) -> str | None:
    """Return what stands before the first colon, in lower case; None for paths and numbers."""
    match = _SCHEME.match(address)
    return match[1].lower() if match else None


def camera_of(address: str, options: SourceOptions) -> tuple[int, SourceOptions] | None:
    """Return the number of the camera that an address names, and the options with what it adds to them.

    Examples:
        >>> number, options = camera_of("/dev/video2?format=MJPG&size=1280x720&rate=30", SourceOptions())
        >>> number, options.format, options.size, options.rate_hz
        (2, 'MJPG', (1280, 720), 30.0)

    Returns:
        None where the address names no camera.

    Raises:
        InputError: It has an unknown setting, or a value that does not fit.
    """
    match = _CAMERA.fullmatch(address)
    if match is None:
        return None
    for key, value in parse_qsl(match[2] or "", keep_blank_values=True):
        if key == "format" and len(value) in (3, 4):
            options = replace(options, format=value)
        elif key == "size" and (size := _SIZE.fullmatch(value)) is not None:
            options = replace(options, size=(int(size[1]), int(size[2])))
        elif key == "rate" and re.fullmatch(r"\d{1,6}(\.\d{1,9})?", value):
            options = replace(options, rate_hz=float(value))
        else:
            raise InputError(
                f"'{address}': '{key}={value}' is no setting of a camera; "
                "settings are as in /dev/video0?format=MJPG&size=1280x720&rate=30"
            )
    return int(match[1]), options
