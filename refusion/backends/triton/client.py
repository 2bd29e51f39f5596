"""Calls to a Triton server over gRPC, each with a deadline."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from refusion.backends.triton.address import TritonAddress
from refusion.backends.triton.failures import CallFailedError, RegionRefusedError
from refusion.backends.triton.served_model import ServedModel
from refusion.errors import BackendError

Answer = TypeVar("Answer")

_CHANNEL = (
    # Tries again are ours: gRPC's own would not know which memory a try may use.
    ("grpc.enable_retries", 0),
    # A server that comes back is found within a second; gRPC waits for up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # Channels share connections otherwise, and a new channel would be given the one that is stuck.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
)
# Before Triton 2.50 (24.09), giving up a region in use ended the server.
_COUNTS_USERS = (2, 50)
_UNREGISTER_S = 1.0


@dataclass(frozen=True)
class ServerFacts:
    """What a server says about itself."""

    version: str
    has_shared_memory: bool

    @property
    def counts_users(self) -> bool:
        """Whether it knows which regions it is using."""
        found = re.match(r"(\d+)\.(\d+)", self.version)
        return found is not None and tuple(map(int, found.groups())) >= _COUNTS_USERS


class TritonClient:
    """A connection. Calls may be made from several threads at once; each raises CallFailedError."""

    def __init__(self, address: TritonAddress) -> None:
        """Prepare a connection; it is made with the first call.

        Raises:
            BackendError: The client library is not installed.
        """
        # gRPC prints its own account of each lost connection to standard error; ours is in the log.
        os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
        try:
            from tritonclient.grpc import InferenceServerClient
        except (ImportError, RuntimeError) as error:
            raise BackendError(
                f"the triton backend needs the client library ({error}): pip install 'refusion[triton]'"
            ) from None
        self._connect: Callable[[], Any] = lambda: InferenceServerClient(
            address.target, channel_args=list(_CHANNEL)
        )
        self._deadline_s = address.deadline_s
        self._stub = self._connect()
        self.may_abandon = False

    def renew(self) -> None:
        """Use a new connection from now on: the old one may be stuck, and ends with the calls that use it."""
        self._stub = self._connect()

    def server(self) -> ServerFacts:
        """Ask what the server is."""
        found = self._call(self._stub.get_server_metadata)
        facts = ServerFacts(found.version, "system_shared_memory" in found.extensions)
        self.may_abandon = facts.counts_users
        return facts

    def ready_models(self) -> list[str]:
        """Ask for the names of the models that are ready."""
        index = self._call(self._stub.get_model_repository_index)
        return [model.name for model in index.models if model.state == "READY"]

    def model(self, name: str) -> ServedModel:
        """Ask what a model is.

        Raises:
            BackendError: It is no ReFusion model.
        """
        return ServedModel.of(self._call(self._stub.get_model_config, name).config)

    def infer(self, model: str, inputs: Sequence[Any], outputs: Sequence[Any], request_id: str) -> Any:
        """Run a model; return the answer as the client library has it."""
        return self._call(self._stub.infer, model, inputs, outputs=outputs, request_id=request_id)

    def register(self, name: str, byte_count: int) -> None:
        try:
            self._call(self._stub.register_system_shared_memory, name, f"/{name}", byte_count)
        except CallFailedError as failure:
            if failure.is_absence:
                raise
            raise RegionRefusedError(str(failure)) from None

    def unregister(self, name: str) -> bool:
        try:
            self._call(self._stub.unregister_system_shared_memory, name, timeout_s=_UNREGISTER_S)
        except CallFailedError as failure:
            if failure.is_absence:
                raise
            return False
        return True

    def close(self) -> None:
        """End the connection; harmless when called twice."""
        self._stub.close()

    def _call(
        self, method: Callable[..., Answer], *arguments: Any, timeout_s: float | None = None, **options: Any
    ) -> Answer:
        from tritonclient.utils import InferenceServerException

        try:
            return method(*arguments, client_timeout=timeout_s or self._deadline_s, **options)
        except InferenceServerException as error:
            code = str(error.status() or "UNKNOWN").removeprefix("StatusCode.")
            lines = (error.message() or "").splitlines()
            raise CallFailedError(code, lines[0] if lines else "") from None
        # What gRPC raises for a channel that was closed.
        except ValueError as error:
            raise CallFailedError("CANCELLED", str(error)) from None
