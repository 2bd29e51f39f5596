"""Frames in the works: published in order as soon as they are there, and nothing after a failure."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from refusion.errors import BackendError, InputError
from refusion.stream.in_flight import InFlight


def put_all(published: Callable[[Any], None], finishes: Iterable[Callable[[], Any]], depth: int) -> None:
    with InFlight(published, depth=depth) as in_flight:
        for finish in finishes:
            in_flight.put(finish)


@pytest.mark.parametrize("depth", [1, 3])
def test_frames_are_published_in_order(depth: int) -> None:
    published: list[Any] = []
    put_all(published.append, [lambda number=number: number for number in range(9)], depth)  # type: ignore[misc]
    assert published == list(range(9))


def test_with_a_depth_of_one_a_frame_is_published_before_the_next_is_taken() -> None:
    published: list[Any] = []
    with InFlight(published.append, depth=1) as in_flight:
        for number in range(5):
            in_flight.put(lambda number=number: number)  # type: ignore[misc]
            assert published[-1] == number


def test_a_frame_is_published_while_the_source_keeps_silent() -> None:
    is_published = threading.Event()
    with InFlight(lambda frame: is_published.set(), depth=3) as in_flight:
        in_flight.put(lambda: 0)  # type: ignore[arg-type, return-value]
        assert is_published.wait(10)


def test_the_next_is_not_taken_while_as_many_as_the_depth_are_in_the_works() -> None:
    go, taken = threading.Event(), []

    def finishes() -> Iterable[Callable[[], Any]]:
        for number in range(5):
            taken.append(number)
            yield lambda number=number: number

    feeding = threading.Thread(target=put_all, args=(lambda frame: go.wait(10), finishes(), 3))
    feeding.start()
    feeding.join(0.2)
    assert taken == [0, 1, 2]
    go.set()
    feeding.join(10)
    assert taken == [0, 1, 2, 3, 4]


def fails(error: Exception) -> Callable[[], Any]:
    def finish() -> Any:
        raise error

    return finish


def test_a_failure_keeps_what_came_before_and_drops_what_comes_after() -> None:
    published: list[Any] = []
    finishes = [lambda: 0, fails(BackendError("out of memory")), lambda: 2, lambda: 3]
    with pytest.raises(BackendError, match="out of memory"):
        put_all(published.append, finishes, 3)
    assert published == [0]


def test_an_earlier_failure_goes_before_that_of_the_source() -> None:
    def finishes() -> Iterable[Callable[[], Any]]:
        yield fails(BackendError("out of memory"))
        raise InputError("the source is damaged")

    with pytest.raises(BackendError, match="out of memory"):
        put_all(lambda frame: None, finishes(), 3)


def test_a_failed_sink_ends_it() -> None:
    def publish(frame: Any) -> None:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        put_all(publish, [lambda: 0] * 5, 2)
