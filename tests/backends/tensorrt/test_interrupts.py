from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from refusion.backends.tensorrt.interrupts import held_interrupts


@pytest.fixture(autouse=True)
def default_interrupts() -> Iterator[None]:
    """Ctrl-C as in a terminal: a shell starts background jobs with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_waits_for_the_end_of_the_block() -> None:
    done: list[str] = []

    def block() -> None:
        with held_interrupts(lambda: done.append("told")) as interrupts:
            assert not interrupts.is_pending
            press()
            assert interrupts.is_pending
            done.append("block")

    with pytest.raises(KeyboardInterrupt):
        block()
    assert done == ["told", "block"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_error_of_the_block_comes_first() -> None:
    def block() -> None:
        with held_interrupts():
            press()
            raise ValueError("the error")

    with pytest.raises(ValueError, match="the error"):
        block()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_without_ctrl_c_nothing_happens() -> None:
    with held_interrupts(), held_interrupts():
        pass


def test_other_threads_are_left_alone() -> None:
    seen: list[object] = []

    def block() -> None:
        with held_interrupts():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=block)
    thread.start()
    thread.join(timeout=60)
    assert seen == [signal.default_int_handler]


def test_where_ctrl_c_is_ignored_it_stays_so() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with held_interrupts() as interrupts:
        press()
        assert not interrupts.is_pending
