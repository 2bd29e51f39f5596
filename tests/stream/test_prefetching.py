"""Items taken ahead in another thread: in order, bounded, with failures in their place."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from refusion.errors import InputError
from refusion.stream.prefetching import Prefetched


def taken(items: Iterator[int], *, ahead: int = 3) -> Prefetched[int]:
    return Prefetched(lambda: next(items, None), ahead=ahead, name="test")


def test_items_come_in_order_and_end() -> None:
    prefetched = taken(iter(range(20)))
    assert list(prefetched) == list(range(20))
    assert next(prefetched, None) is None


def test_no_more_than_so_many_are_taken_ahead() -> None:
    given: list[int] = []
    full = threading.Event()

    def numbers() -> Iterator[int]:
        for number in range(100):
            given.append(number)
            if number == 2:
                full.set()
            yield number

    prefetched = taken(numbers(), ahead=3)
    assert full.wait(5)
    assert given == [0, 1, 2]
    assert next(prefetched) == 0
    prefetched.close()
    assert len(given) <= 4


def test_a_failure_comes_after_the_items_before_it_and_ends_all() -> None:
    def damaged() -> Iterator[int]:
        yield from (1, 2)
        raise InputError("damaged at frame 2")

    prefetched = taken(damaged())
    assert [next(prefetched), next(prefetched)] == [1, 2]
    with pytest.raises(InputError, match="damaged at frame 2"):
        next(prefetched)
    assert next(prefetched, None) is None


def test_closing_ends_the_thread_and_what_waits_for_an_item() -> None:
    before = set(threading.enumerate())
    prefetched = taken(iter(range(100)))
    assert next(prefetched) == 0
    prefetched.close()
    prefetched.close()
    assert next(prefetched, None) is None
    assert set(threading.enumerate()) <= before
