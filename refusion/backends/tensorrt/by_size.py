"""Engines by the size of the frames: each size runs on the engine that fits it."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from refusion.backends.tensorrt.network import BatchShape
from refusion.backends.tensorrt.pipeline import SLOTS
from refusion.errors import BackendError
from refusion.executor import Executor, FramePairs, Pending
from refusion.ranges import OutputRange
from refusion.tasks import Chroma
from refusion.warp import Warp

# Sizes whose choice is remembered; a folder of pictures may hold any number.
KEPT_SIZES = 64

logger = logging.getLogger("refusion")


class EnginesBySize:
    """Finds an engine for each size that comes, and opens it once.

    Which engine is needed shows with the first frames only: engines are built for sizes. What no engine fits
    runs on the fallback where there is one, with a warning in the log: pictures of any size should come out,
    but nobody should have to wonder why they come slowly.
    """

    frames_in_flight = SLOTS

    def __init__(
        self,
        find: Callable[[BatchShape], Path | None],
        load: Callable[[Path], Executor],
        explain: Callable[[BatchShape], str],
        fallback: Executor | None,
    ) -> None:
        """Set it up; nothing is opened yet.

        Args:
            find: Returns the engine that fits a shape.
            load: Opens an engine.
            explain: Says which engines there are, and how one for the shape is built.
            fallback: Takes what no engine fits; None: that is an error. It is closed with this.
        """
        self._find = find
        self._load = load
        self._explain = explain
        self._fallback = fallback
        self._lock = threading.Lock()
        self._opened: dict[Path, Executor] = {}
        self._chosen: OrderedDict[BatchShape, Executor] = OrderedDict()
        self._is_closed = False

    @property
    def description(self) -> str:
        with self._lock:
            used = list(dict.fromkeys(executor.description for executor in self._chosen.values()))
        if used:
            return " | ".join(used)
        otherwise = f", else {self._fallback.description}" if self._fallback is not None else ""
        return f"TensorRT, with the engine that fits the size of the frames{otherwise}"

    def submit(
        self, pairs: FramePairs, chroma: Sequence[Chroma], follower: OutputRange, warp: Warp | None = None
    ) -> Pending:
        return self._executor(pairs).submit(pairs, chroma, follower, warp)

    def luma(self, pairs: FramePairs, warp: Warp | None = None) -> NDArray[np.float32]:
        return self._executor(pairs).luma(pairs, warp)

    def _executor(self, pairs: FramePairs) -> Executor:
        height, width = pairs[0][1].shape[:2]
        shape = BatchShape(len(pairs), height, width)
        with self._lock:
            if self._is_closed:
                raise BackendError("the fuser is closed")
            executor = self._chosen.pop(shape, None) or self._choose(shape)
            self._chosen[shape] = executor
            if len(self._chosen) > KEPT_SIZES:
                self._chosen.popitem(last=False)
        return executor

    def _choose(self, shape: BatchShape) -> Executor:
        # An engine for fewer pairs at a time takes them in several runs.
        plan = self._find(shape) or self._find(shape._replace(batch=1))
        if plan is None:
            return self._instead(self._explain(shape))
        if plan not in self._opened:
            try:
                self._opened[plan] = self._load(plan)
            except BackendError as error:
                return self._instead(str(error))
        return self._opened[plan]

    def _instead(self, reason: str) -> Executor:
        if self._fallback is None:
            raise BackendError(reason)
        logger.warning("%s; running on %s", reason, self._fallback.description)
        return self._fallback

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            self._chosen.clear()
            for executor in self._opened.values():
                executor.close()
            self._opened.clear()
            if self._fallback is not None:
                self._fallback.close()
