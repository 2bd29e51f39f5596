"""Ctrl-C while TensorRT calls back: a Python exception that reaches its C++ ends the process by an abort."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupts:
    """Whether Ctrl-C was pressed in the block."""

    def __init__(self) -> None:
        self.is_pending = False


@contextmanager
def held_interrupts(on_first: Callable[[], None] | None = None) -> Iterator[Interrupts]:
    """Hold Ctrl-C back until the block ends well, and raise KeyboardInterrupt then; a second one kills.

    Signals reach Python's main thread only: in other threads this does nothing; nor where Ctrl-C is ignored.

    Args:
        on_first: Called at the first Ctrl-C. It must not raise.
    """
    interrupts = Interrupts()
    previous = signal.getsignal(signal.SIGINT)
    # None: a handler that was not set from Python, and could not be put back. Ignored: so it stays.
    is_ours = previous is not None and previous is not signal.SIG_IGN
    if threading.current_thread() is not threading.main_thread() or not is_ours:
        yield interrupts
        return

    def hold(number: int, frame: FrameType | None) -> None:
        if interrupts.is_pending:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
        interrupts.is_pending = True
        if on_first is not None:
            on_first()

    signal.signal(signal.SIGINT, hold)
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, previous)
    if interrupts.is_pending:
        raise KeyboardInterrupt
