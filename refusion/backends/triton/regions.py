"""Memory that this process and a server on this host both see.

What keeps one frame's values out of another's answer: a region is used again only after an answer that was
checked. After anything else (a deadline, a lost connection) the server may still read from it or write to it,
now or later, so it is abandoned; the next try has a region of its own, under a name that no other ever had.
"""

from __future__ import annotations

import mmap
import os
import secrets
import threading
import time
from collections import deque
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from refusion.backends.triton.failures import CallFailedError

FOLDER = Path("/dev/shm")
"""Where Linux keeps POSIX shared memory: what shm_open("/NAME") opens is FOLDER / NAME."""

# A server that counts the users of a region refuses to give up one in use; asked again this much later.
_SWEEP_EVERY_S = 1.0
# What the server still uses when the pool is closed, after an outage: asked again for so long.
_CLOSE_S, _CLOSE_EVERY_S = 3.0, 0.1
# Abandoned regions that the server is asked to give up: more are left to its end.
_MOST_UNWANTED = 64


class Registrar(Protocol):
    """Tells a server about regions."""

    def register(self, name: str, byte_count: int) -> None:
        """Have the server open the region of that name.

        Raises:
            RegionRefusedError: It cannot.
            CallFailedError: It did not answer.
        """

    def unregister(self, name: str) -> bool:
        """Have the server give it up; return whether it has, or never knew it.

        Raises:
            CallFailedError: It did not answer.
        """

    @property
    def may_abandon(self) -> bool:
        """Whether it survives being asked to give up a region that it is using."""


class Region:
    """A piece of memory for the input and the output of one request at a time."""

    def __init__(self, byte_count: int) -> None:
        """Reserve it, under a new name.

        Raises:
            OSError: There is no room, or no such memory on this system.
        """
        self.name = f"refusion_{os.getpid()}_{secrets.token_hex(8)}"
        self.byte_count = byte_count
        descriptor = os.open(FOLDER / self.name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            # Memory is there only when it is reserved: writing past a full folder ends a process by SIGBUS.
            os.posix_fallocate(descriptor, 0, byte_count)
            self._memory = mmap.mmap(descriptor, byte_count)
        except BaseException:
            self.unlink()
            raise
        finally:
            os.close(descriptor)

    def floats(self, shape: tuple[int, ...], offset: int = 0) -> NDArray[np.float32]:
        """Return a view of float32 values from that byte on."""
        count = int(np.prod(shape))
        return np.frombuffer(self._memory, np.float32, count, offset).reshape(shape)

    def unlink(self) -> None:
        """Take its name away: the memory lasts as long as this process or the server has it."""
        (FOLDER / self.name).unlink(missing_ok=True)


class RegionPool:
    """Regions of one server, lent to one request each. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[Region] = []
        self._unwanted: deque[str] = deque(maxlen=_MOST_UNWANTED)
        self._next_sweep_s = 0.0

    def take(self, registrar: Registrar, byte_count: int) -> Region:
        """Lend a region that holds so many bytes; end with `give_back` or `abandon`.

        Raises:
            OSError: There is no room for it here.
            RegionRefusedError: The server cannot open it.
            CallFailedError: The server did not answer.
        """
        self._sweep(registrar)
        with self._lock:
            for region in self._idle:
                if region.byte_count >= byte_count:
                    self._idle.remove(region)
                    return region
            # Frames have grown: one that is too small makes room for the new one.
            if self._idle:
                self._unwanted.append(self._idle.pop().name)
        region = Region(byte_count)
        try:
            registrar.register(region.name, byte_count)
        except BaseException:
            self.abandon(region, registrar)
            raise
        finally:
            # The server has it open by now: without a name nothing is left behind, even by kill -9.
            region.unlink()
        return region

    def give_back(self, region: Region) -> None:
        """Take back a region whose request was answered, and its output copied."""
        with self._lock:
            self._idle.append(region)

    def abandon(self, region: Region, registrar: Registrar) -> None:
        """Never use a region again: the server may."""
        if registrar.may_abandon:
            with self._lock:
                self._unwanted.append(region.name)

    def forget(self) -> None:
        """Never use any idle region again: the server may be another one now."""
        with self._lock:
            self._unwanted.extend(region.name for region in self._idle)
            self._idle.clear()

    def close(self, registrar: Registrar) -> None:
        """Have the server give up everything, as far as it answers and is done with it within 3 s."""
        self.forget()
        until_s = time.monotonic() + _CLOSE_S
        while self._give_up(registrar) and time.monotonic() < until_s:
            time.sleep(_CLOSE_EVERY_S)

    def _sweep(self, registrar: Registrar) -> None:
        with self._lock:
            if not self._unwanted or time.monotonic() < self._next_sweep_s:
                return
            self._next_sweep_s = time.monotonic() + _SWEEP_EVERY_S
        self._give_up(registrar)

    def _give_up(self, registrar: Registrar) -> bool:
        """Ask once for all that is unwanted; return whether asking again is worth it."""
        with self._lock:
            names = list(self._unwanted)
            self._unwanted.clear()
        kept = []
        is_there = True
        for index, name in enumerate(names):
            try:
                if not registrar.unregister(name):
                    kept.append(name)
            except CallFailedError:  # the server is not there: later
                kept += names[index:]
                is_there = False
                break
        with self._lock:
            self._unwanted.extend(kept)
        return is_there and bool(kept)
