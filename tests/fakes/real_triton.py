"""Triton itself as a process: the command that $REFUSION_TRITON_SERVER holds, with its options."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import time
from pathlib import Path

from triton_server import free_port

COMMAND = "REFUSION_TRITON_SERVER"
START_S = 60
OWN_MEMORY = "triton_*_shm_region_*"
"""In /dev/shm: what Triton's Python backend shares with its own processes, and leaves behind when killed."""


class RealServer:
    """Serves a repository; has what tests use of LocalServer."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        self._options = [f"--model-repository={folder}", f"--grpc-port={port}", "--grpc-address=127.0.0.1"]
        self._options += ["--allow-http=false", "--allow-metrics=false"]
        self.start()

    def start(self) -> None:
        """Start the process and wait until it is ready."""
        from tritonclient.grpc import InferenceServerClient
        from tritonclient.utils import InferenceServerException

        before = _own_memory()
        with (self.folder.parent / "triton.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*shlex.split(os.environ[COMMAND]), *self._options],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        given_up_s = time.monotonic() + START_S
        is_ready = False
        while not is_ready:
            try:
                with InferenceServerClient(self.address) as client:
                    is_ready = client.is_server_ready(client_timeout=1.0)
            except InferenceServerException:
                assert self._process.poll() is None, "the server ended: see triton.log"
            assert time.monotonic() < given_up_s, "the server did not get ready: see triton.log"
            time.sleep(0.2)
        self._memory = _own_memory() - before

    @property
    def is_running(self) -> bool:
        """Whether it has not ended by itself."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End it and what it started at once: kill -9."""
        # What it started may have outlived it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for path in self._memory:
            path.unlink(missing_ok=True)

    def hold_up(self, seconds: float) -> None:
        """Stop it for so long; then it goes on with what it had to do."""
        os.killpg(self._process.pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.killpg(self._process.pid, signal.SIGCONT)

    def region_count(self) -> int:
        """Return how many regions of clients it has open."""
        from tritonclient.grpc import InferenceServerClient

        with InferenceServerClient(self.address) as client:
            return len(client.get_system_shared_memory_status().regions)


def _own_memory() -> set[Path]:
    return set(Path("/dev/shm").glob(OWN_MEMORY))
