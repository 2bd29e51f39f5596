"""Runs rtsp_server.py as a process that can be killed and started again on its port."""

from __future__ import annotations

import subprocess
from pathlib import Path

SYSTEM_PYTHON = "/usr/bin/python3"
_SCRIPT = Path(__file__).with_name("rtsp_server.py")
_NEEDS = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"


def missing_reason() -> str | None:
    """Return why the server cannot run here, None if it can."""
    if not Path(SYSTEM_PYTHON).exists():
        return f"no {SYSTEM_PYTHON}, whose GStreamer the RTSP server uses"
    tried = subprocess.run([SYSTEM_PYTHON, "-c", _NEEDS], capture_output=True, check=False)
    return "GStreamer's RTSP server is not installed" if tried.returncode else None


class RtspServer:
    """An RTSP server on loopback; a context manager."""

    def __init__(self, *arguments: str) -> None:
        """Start it; see rtsp_server.py for the arguments."""
        self._arguments = arguments
        self.port = 0
        self.start()

    def start(self) -> None:
        """Start, on the port of the first time."""
        command = [SYSTEM_PYTHON, str(_SCRIPT), "--port", str(self.port), *self._arguments]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        ready = self._process.stdout.readline().split()
        if ready[:1] != ["ready"]:
            raise RuntimeError(f"the RTSP server did not start: {self._process.communicate()[1]}")
        self.port = int(ready[1])

    def kill(self) -> None:
        """Kill it as a power failure would."""
        self._process.kill()
        self._process.communicate()

    def url(self, mount: str, login: str = "") -> str:
        """Return the address of a mount; login is `user:password@`."""
        return f"rtsp://{login}127.0.0.1:{self.port}/{mount}"

    def __enter__(self) -> RtspServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
