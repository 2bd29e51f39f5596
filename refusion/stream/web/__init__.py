"""The viewer in the browser: a server of the live picture and its controls. Needs the extra `web`."""

from refusion.stream.web.server import WebServer

__all__ = ["WebServer"]
