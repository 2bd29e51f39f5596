"""Where a Triton server is, and how it is asked: one URL that holds all of it."""

from __future__ import annotations

import enum
import ipaddress
import math
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from refusion.choices import chosen
from refusion.errors import UsageError

SCHEME = "grpc://"
DEFAULT_PORT = 8001
"""Of Triton's gRPC service."""
DEADLINE_S = 10.0
RETRY_S = 30.0
"""Longer than a server takes to restart and warm up its models."""


class SharedMemory(enum.Enum):
    """Whether frames go through memory that client and server both see."""

    auto = "auto"
    """Where the server is on this host and can open it."""
    on = "on"
    """Or not at all."""
    off = "off"


@dataclass(frozen=True)
class TritonAddress:
    """A server, and what is asked of it."""

    host: str
    port: int = DEFAULT_PORT
    model: str | None = None
    """None: the server's model of the task, see `served_model.choose`."""
    deadline_s: float = DEADLINE_S
    """Of each try."""
    retry_s: float = RETRY_S
    """How long a server that fails is tried again, for each run of the network."""
    shared_memory: SharedMemory = SharedMemory.auto

    @property
    def target(self) -> str:
        """Host and port, as gRPC and people write them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether the server answers on this host, as far as the address tells."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @classmethod
    def parse(cls, url: str) -> TritonAddress:
        """Read `[grpc://]HOST[:PORT][/MODEL][?deadline_s=S&retry_s=S&shared_memory=auto|on|off]`.

        Raises:
            UsageError: It is no such URL.
        """
        try:
            parts = urlsplit(url if "://" in url else SCHEME + url)
            host, port = parts.hostname, parts.port
            options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
        except ValueError as error:
            raise _refused(url, str(error)) from None
        if f"{parts.scheme}://" != SCHEME:
            raise _refused(url, f"the scheme is {parts.scheme}, and Triton is asked by gRPC")
        if not host or parts.username is not None or parts.fragment:
            raise _refused(url, "it has no host" if not host else "it has parts that are not known")
        if not (host.isascii() and host.isprintable() and " " not in host):
            raise _refused(url, f"{host!r} is no name of a host")
        model = parts.path.strip("/")
        if "/" in model or not model.isprintable():
            raise _refused(url, f"{model!r} is no name of a model")
        unknown = options.keys() - {"deadline_s", "retry_s", "shared_memory"}
        if unknown:
            raise _refused(url, f"there is no option {', '.join(sorted(unknown))}")
        return cls(
            host,
            DEFAULT_PORT if port is None else port,
            model or None,
            deadline_s=_seconds(url, options, "deadline_s", DEADLINE_S, least_s=0.001),
            retry_s=_seconds(url, options, "retry_s", RETRY_S, least_s=0.0),
            shared_memory=chosen(
                SharedMemory, options.get("shared_memory", "auto"), called="use of shared memory"
            ),
        )


def _seconds(url: str, options: dict[str, str], name: str, default_s: float, *, least_s: float) -> float:
    text = options.get(name)
    if text is None:
        return default_s
    try:
        value_s = float(text)
    except ValueError:
        value_s = math.nan
    if not (math.isfinite(value_s) and value_s >= least_s):
        raise _refused(url, f"{name} must be a number of seconds, at least {least_s:g}, not '{text}'")
    return value_s


def _refused(url: str, problem: str) -> UsageError:
    return UsageError(
        f"'{url}' is no address of a Triton server: {problem}; expected "
        "HOST:PORT[/MODEL][?deadline_s=S&retry_s=S&shared_memory=auto|on|off]"
    )
