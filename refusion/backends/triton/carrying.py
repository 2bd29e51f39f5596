"""How frames get to a server and back: through shared memory where both see it, else over the network."""

from __future__ import annotations

import itertools
import logging
import secrets

import numpy as np
from numpy.typing import NDArray

from refusion.backends.triton.address import SharedMemory, TritonAddress
from refusion.backends.triton.client import ServerFacts, TritonClient
from refusion.backends.triton.exchange import over_memory, over_network
from refusion.backends.triton.failures import CallFailedError, RegionRefusedError
from refusion.backends.triton.regions import RegionPool
from refusion.errors import BackendError

logger = logging.getLogger("refusion")

# So many regions lost one after the other: servers behind one address, each without the others' regions.
_MOST_LOST = 3
_ADVICE = "it must see this /dev/shm (in a container: --ipc=host), as this user or as root"


class Carrier:
    """Runs models of one server, each run once. Threads may share it."""

    def __init__(self, address: TritonAddress, client: TritonClient, facts: ServerFacts) -> None:
        """Choose the way; the first run finds out whether the server can open memory of this host.

        Raises:
            BackendError: Shared memory is asked for, and the server has none.
        """
        self._address = address
        self._client = client
        self._pool = RegionPool()
        self._token = secrets.token_hex(4)
        self._numbers = itertools.count()
        self._regions_lost = 0
        asked = address.shared_memory
        self.uses_memory = asked is SharedMemory.on or (
            asked is SharedMemory.auto and address.is_loopback and facts.has_shared_memory
        )
        if self.uses_memory and not facts.has_shared_memory:
            raise BackendError(f"Triton at {address.target} has no shared memory: leave out shared_memory=on")

    def run(self, model: str, sources: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run a model once; sources and result as for Backend.run.

        Raises:
            CallFailedError: The server did not answer.
            BackendError: It did not answer as it should, or cannot use shared memory, which was asked for.
        """
        # Checked in the answer; no two tries have the same.
        request_id = f"{self._token}-{next(self._numbers)}"
        if self.uses_memory:
            try:
                fused = over_memory(self._client, self._pool, model, sources, request_id)
            except (OSError, RegionRefusedError) as problem:
                self._do_without_memory(str(problem))
            else:
                self._regions_lost = 0
                return fused
        return over_network(self._client, model, sources, request_id)

    def note(self, failure: CallFailedError) -> None:
        """Prepare the next run for what may have happened: another server, or a connection that is stuck.

        Raises:
            BackendError: Shared memory does not work, and was asked for.
        """
        self._pool.forget()
        if failure.code == "DEADLINE_EXCEEDED":
            self._client.renew()
        if failure.is_region_lost:
            self._regions_lost += 1
            if self._regions_lost >= _MOST_LOST:
                self._do_without_memory("regions are lost at once, as by several servers behind one address")

    def close(self) -> None:
        """Have the server give up its regions, as far as it answers, and end the connection."""
        self._pool.close(self._client)
        self._client.close()

    def _do_without_memory(self, problem: str) -> None:
        if self._address.shared_memory is SharedMemory.on:
            raise BackendError(
                f"Triton at {self._address.target} cannot use shared memory: {problem}; {_ADVICE}"
            )
        if self.uses_memory:
            self.uses_memory = False
            logger.warning(
                "Triton at %s: frames go over the network, not shared memory: %s; %s",
                self._address.target,
                problem,
                _ADVICE,
            )
