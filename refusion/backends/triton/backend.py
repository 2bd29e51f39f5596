"""The backend that has a Triton server run the network, and outlives the server's absences."""

from __future__ import annotations

import logging
import math
import threading
import time
import weakref

import numpy as np
from numpy.typing import NDArray

from refusion.backends.triton.address import TritonAddress
from refusion.backends.triton.carrying import Carrier
from refusion.backends.triton.client import TritonClient
from refusion.backends.triton.failures import CallFailedError
from refusion.backends.triton.served_model import ServedModel, choose
from refusion.errors import BackendError, RefusionError
from refusion.models import Model
from refusion.stream.backoff import Backoff
from refusion.tasks import Task

logger = logging.getLogger("refusion")

# A server cannot restart and load a model within it: after a longer pause, the model is looked at again.
_UNSEEN_S = 1.0


class TritonBackend:
    """Runs the network on a Triton server, for a model that `refusion export --format triton` wrote.

    Frames of a server on this host go through shared memory, where the server can open it; else over the
    connection. A try that fails is made again, for as long as the address says; what a server that came
    back serves must be what it served before.
    """

    def __init__(self, address: TritonAddress, task: Task, *, model: Model | None = None) -> None:
        """Connect, and find the model.

        Args:
            address: The server; may name the model.
            task: What is fused.
            model: None: full, or what the named model is.

        Raises:
            BackendError: The client library is not installed, no server answers, or it has no such model.
            UsageError: The named model is of another task.
        """
        self._address = address
        self._client = TritonClient(address)
        self._ended = threading.Event()
        try:
            self._facts = self._client.server()
            self._model = self._found(task, model)
            self._carrier = Carrier(address, self._client, self._facts)
        except CallFailedError as failure:
            self._client.close()
            raise BackendError(
                f"no Triton server answers at {address.target}: {failure}; is it running, and is this its "
                "port of gRPC (8001 by default)?"
            ) from None
        except RefusionError:
            self._client.close()
            raise
        self._seen_s = time.monotonic()
        # Also where nobody closes it: the server would keep the regions.
        self._close = weakref.finalize(self, self._carrier.close)

    def _found(self, task: Task, model: Model | None) -> ServedModel:
        ready = self._client.ready_models()
        name = self._address.model or choose(ready, task, model or Model.full)
        if name not in ready:
            raise BackendError(
                f"Triton at {self._address.target} has no model {name} ready; it has "
                f"{', '.join(sorted(ready)) or 'none'}"
            )
        found = self._client.model(name)
        found.refuse_other(task, model)
        return found

    @property
    def description(self) -> str:
        way = "shared memory" if self._carrier.uses_memory else "network"
        return f"Triton {self._facts.version} at {self._address.target}, {self._model.name}, {way}"

    def run(self, sources: NDArray[np.float32]) -> NDArray[np.float32]:
        """Fuse sources, float32 (N, 2, H, W) in [0, 1], into float32 (N, 1, H, W); see Backend.

        Raises:
            InputError: The model is made for frames of another size.
            BackendError: The server did not answer in time, or not as it should.
        """
        self._model.refuse_size(*sources.shape[2:])
        most = self._model.largest_batch
        parts = [self._run(sources[first : first + most]) for first in range(0, len(sources), most)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def close(self) -> None:
        self._ended.set()
        self._close()

    def _run(self, sources: NDArray[np.float32]) -> NDArray[np.float32]:
        backoff = Backoff()
        began_s = time.monotonic()
        tries = doubtful = 0
        while True:
            tries += 1
            try:
                return self._try(sources)
            except CallFailedError as failure:
                self._seen_s = -math.inf
                self._carrier.note(failure)
                wait_s = 0.0 if failure.is_region_lost else backoff.next_s()
                spent_s = time.monotonic() - began_s
                # A server that goes or comes back fails in odd ways, too: such answers count in a row.
                doubtful = 0 if failure.is_absence else doubtful + failure.is_doubtful
                text = f"Triton at {self._address.target} did not fuse a frame: {failure}"
                if not failure.is_worth_retrying(doubtful):
                    raise BackendError(text) from None
                if spent_s + wait_s >= self._address.retry_s:
                    raise BackendError(
                        f"{text} ({tries} tries in {spent_s:.1f} s); is it running? Give it longer with "
                        f"?retry_s=S, or each try with ?deadline_s=S (now {self._address.deadline_s:g})"
                    ) from None
                if tries == 1:
                    logger.warning("Triton at %s: %s; trying again", self._address.target, failure)
            if self._ended.wait(wait_s):
                raise BackendError("these frames were given up when what fuses them was closed")

    def _try(self, sources: NDArray[np.float32]) -> NDArray[np.float32]:
        if time.monotonic() - self._seen_s > _UNSEEN_S:
            self._look_again()
        fused = self._carrier.run(self._model.name, sources)
        self._seen_s = time.monotonic()
        return fused

    def _look_again(self) -> None:
        """Check that the server serves what it did.

        Raises:
            CallFailedError: It is not there.
            BackendError: It serves other weights now.
        """
        facts, model = self._client.server(), self._client.model(self._model.name)
        if model.identity != self._model.identity:
            raise BackendError(
                f"Triton at {self._address.target} serves another {model.name} now: expected "
                f"{dict(self._model.identity)}, found {dict(model.identity)}; open another Fuser to use it"
            )
        self._facts, self._model = facts, model
