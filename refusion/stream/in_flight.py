"""Frames in the works: begun in one thread, finished and handed on in order in another."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from refusion.stream.fusing import Finish
from refusion.stream.monitoring import StreamFrame


class InFlight:
    """Waits for frames that were begun, and publishes each as soon as it is there, whatever the next does.

    Use it in a `with` block: at its end all is published. After the first failure nothing more is.

    Args:
        publish: Called with each finished frame, in order, from a thread of its own.
        depth: How many may be in the works while the next is taken, and one more: with 1, none is.
    """

    def __init__(self, publish: Callable[[StreamFrame], None], *, depth: int) -> None:
        self._publish = publish
        self._depth = depth
        self._thread = ThreadPoolExecutor(1, "refusion publishing")
        self._waiting: deque[Future[None]] = deque()
        self._has_failed = threading.Event()

    def put(self, finish: Finish) -> None:
        """Hand over a frame that was begun, and wait until fewer than `depth` are in the works.

        Raises:
            Exception: What a frame, or publishing it, failed with.
        """
        self._waiting.append(self._thread.submit(self._finish, finish))
        if len(self._waiting) >= self._depth:
            self._waiting.popleft().result()

    def __enter__(self) -> InFlight:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Publish what is in the works: what failed there came before what ended the block."""
        try:
            while self._waiting:
                self._waiting.popleft().result()
        finally:
            self._thread.shutdown()

    def _finish(self, finish: Finish) -> None:
        if self._has_failed.is_set():
            return
        try:
            self._publish(finish())
        except BaseException:
            self._has_failed.set()
            raise
