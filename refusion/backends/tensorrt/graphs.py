"""CUDA graphs: work that comes again is captured once, and from then on launched as one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING

from refusion.errors import BackendError

if TYPE_CHECKING:
    from refusion._C import CudaGraph

# Two slots, for eight kinds of work: streams beside each other, of differing colour and range policy.
KEPT = 16


class WorkGraphs:
    """Runs work on one stream, and keeps the graphs of the kinds of work that came last."""

    def __init__(self, stream: int) -> None:
        self._stream = stream
        self._graphs: OrderedDict[Hashable, CudaGraph | None] = OrderedDict()
        self.problem = ""
        """Why nothing is captured any more; empty while all is well."""

    def run(self, key: Hashable, enqueue: Callable[[], None]) -> None:
        """Enqueue the work once; it must be the same, down to every address, whenever the key is the same.

        The first time it runs as it is: TensorRT and CUDA do work then that cannot be captured, such as
        loading kernels. A picture that comes alone is not worth a graph either. The second time it is
        captured. Where that fails it runs as it is for good, and `problem` says why.
        """
        came_before = key in self._graphs
        graph = self._graphs.pop(key, None)
        if graph is None and came_before and not self.problem:
            graph = self._captured(enqueue)
        if graph is None:
            enqueue()
        else:
            graph.launch(self._stream)
        self._graphs[key] = graph
        if len(self._graphs) > KEPT:
            self._graphs.popitem(last=False)

    def _captured(self, enqueue: Callable[[], None]) -> CudaGraph | None:
        from refusion import _C

        try:
            _C.cuda_begin_capture(self._stream)
            try:
                enqueue()
            finally:
                # Whatever happened: only this takes the stream out of its capture.
                graph = _C.cuda_end_capture(self._stream)
        except (RuntimeError, BackendError) as error:
            self.problem = str(error)
            return None
        return graph

    def clear(self) -> None:
        """Forget all work, for instance because addresses changed. What was launched still runs."""
        self._graphs.clear()
