"""An iterator run in a thread of its own, a few items ahead of whoever takes them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Prefetched(Generic[Item]):
    """Takes items from `take` in a thread of its own, and gives them in order; nothing is lost.

    What `take` raises comes in its place, after the items before it, and ends the iteration.

    Args:
        take: Returns the next item, None after the last. Called by one thread at a time.
        ahead: How many items are taken before they are asked for, at most.
        name: For the thread.
    """

    def __init__(self, take: Callable[[], Item | None], *, ahead: int, name: str) -> None:
        self._take = take
        self._thread = ThreadPoolExecutor(1, f"refusion {name}")
        self._waiting: deque[Future[Item | None]] = deque(self._thread.submit(take) for _ in range(ahead))

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        """Return the next item, waiting for it.

        Raises:
            StopIteration: There is none, or the iteration was closed.
        """
        if not self._waiting:
            raise StopIteration
        try:
            item = self._waiting.popleft().result()
        except CancelledError:
            item = None
        except Exception:
            self.close()
            raise
        if item is None:
            self.close()
            raise StopIteration
        self._waiting.append(self._thread.submit(self._take))
        return item

    def close(self) -> None:
        """End the thread, and wait for the item that it is taking. Closing twice is harmless."""
        self._thread.shutdown(cancel_futures=True)
        self._waiting.clear()
