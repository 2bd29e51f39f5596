"""Triton itself as a process: the command that $REFUSION_TRITON_SERVER holds, with its options."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from pathlib import Path

from triton_server import free_port

COMMAND = "REFUSION_TRITON_SERVER"
START_S = 60


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

        with (self.folder.parent / "triton.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*shlex.split(os.environ[COMMAND]), *self._options], stdout=log, stderr=log
            )
        given_up_s = time.monotonic() + START_S
        while True:
            try:
                with InferenceServerClient(self.address) as client:
                    if client.is_server_ready(client_timeout=1.0):
                        return
            except InferenceServerException:
                assert self._process.poll() is None, "the server ended: see triton.log"
            assert time.monotonic() < given_up_s, "the server did not get ready: see triton.log"
            time.sleep(0.2)

    def kill(self) -> None:
        """End it at once: kill -9."""
        self._process.kill()
        self._process.wait()
