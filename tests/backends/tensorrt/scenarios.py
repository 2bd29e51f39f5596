"""Frames for the executor's tests, and how they are submitted."""

from __future__ import annotations

import numpy as np

from refusion.backends.tensorrt.executor import TensorRTExecutor
from refusion.executor import Pending
from refusion.frames import Frame
from refusion.fused_stream import chroma_of
from refusion.ranges import OutputRange, RangePolicy

from .conftest import Rig

Pair = tuple[Frame, Frame]
RANDOM = np.random.default_rng(0)
SIZES = [(24, 40), (8, 8), (96, 128), (24, 40), (33, 47), (96, 128), (24, 40)]


def gray(height: int = 24, width: int = 40) -> Frame:
    return RANDOM.integers(0, 256, (height, width), np.uint8)


def colour(height: int = 24, width: int = 40) -> Frame:
    return RANDOM.integers(0, 256, (height, width, 3), np.uint8)


def moving(count: int, height: int = 24, width: int = 40) -> list[Pair]:
    """Pairs that change slowly, so that a tracked range matters, with a cut in the middle."""
    a, b = gray(height, width), colour(height, width)
    dark = [(a // 3 + 2 * i, b // 3 + 2 * i) for i in range(count // 2)]
    return dark + [(255 - 2 * i - a // 8, b) for i in range(count - count // 2)]


def submit(executor: TensorRTExecutor | Rig, pairs: list[Pair], policy: str = "image") -> Pending:
    target = executor.expected if isinstance(executor, Rig) else executor
    return target.submit(pairs, [chroma_of(a, b) for a, b in pairs], OutputRange(RangePolicy.parse(policy)))
