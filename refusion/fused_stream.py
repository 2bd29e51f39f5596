"""One stream of pairs, fused in order with a steady range and colour."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from refusion import ops
from refusion.errors import UsageError
from refusion.executor import Executor, Pending
from refusion.frames import Frame, checked_pair
from refusion.ranges import OutputRange
from refusion.tasks import Chroma
from refusion.warp import Warp


class FusedStream:
    """Fuses the pairs of one stream: call it with each pair, or give it all of them. Not for sharing.

    Examples:
        >>> import numpy as np, refusion
        >>> infrared = np.zeros((48, 64), np.uint8)
        >>> visible = np.full((48, 64, 3), 90, np.uint8)
        >>> with refusion.Fuser(task="ivif") as fuser:
        ...     stream = fuser.stream()
        ...     [frame.shape for frame in stream.frames([(infrared, visible)] * 3)]
        [(48, 64), (48, 64), (48, 64)]
    """

    def __init__(self, executor: Executor, follower: OutputRange, chroma: Chroma | None) -> None:
        self._executor = executor
        self._follower = follower
        self._chroma = chroma

    def __call__(self, a: Any, b: Any, *, warp: Warp | None = None) -> Frame:
        """Fuse the next pair; see Fuser.__call__.

        Raises:
            UsageError: There is a warp, and the stream takes its colour from a.
        """
        return self.submit(a, b, warp).result()[0]

    def frames(self, pairs: Iterable[tuple[Any, Any] | tuple[Any, Any, Warp | None]]) -> Iterator[Frame]:
        """Fuse pairs as they come, and yield a frame for each, in order.

        As many pairs are in the works as the device can overlap. On a GPU, the next pair is read and sent up
        while this one is computed; on a CPU, the next one is read and pre-processed and the one before
        post-processed meanwhile. So a frame comes out up to that many pairs later; a live source that must
        not wait calls the stream for each pair instead.

        Args:
            pairs: (a, b) or (a, b, warp) of the stream; see Fuser.__call__.

        Yields:
            The fused frame of each pair. Whatever fails, be it the source, a pair or the device, is raised
            in its place: after the frames of all pairs before it.
        """
        in_flight: deque[Pending] = deque()
        failure: Exception | None = None
        source = iter(pairs)
        while failure is None:
            try:
                in_flight.append(self.submit(*next(source)))
            except StopIteration:
                break
            except Exception as error:  # raised below, in its place
                failure = error
            else:
                if len(in_flight) >= self._executor.frames_in_flight:
                    yield in_flight.popleft().result()[0]
        while in_flight:
            yield in_flight.popleft().result()[0]
        if failure is not None:
            raise failure

    def submit(self, a: Any, b: Any, warp: Warp | None = None) -> Pending:
        """Begin to fuse the next pair, for callers that keep several in the works; see __call__."""
        checked = checked_pair(a, b, warp)
        if self._chroma is None:
            self._chroma = chroma_of(*checked, warp)
        if warp is not None and self._chroma in (Chroma.A, Chroma.BOTH):
            raise UsageError(
                "a warped source gives no colour, and this stream takes its own from source a: "
                "begin another with Fuser.stream(chroma=Chroma.B)"
            )
        return self._executor.submit([checked], [self._chroma], self._follower, warp)


def chroma_of(a: Frame, b: Frame, warp: Warp | None = None) -> Chroma:
    """Choose by which of the frames are gray; a warped source gives no colour."""
    return Chroma.of(a_is_gray=warp is not None or ops.is_gray(a), b_is_gray=ops.is_gray(b))
