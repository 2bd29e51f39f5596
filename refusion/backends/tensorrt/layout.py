"""Where the frames of a batch stand in its two blocks of memory: one that goes up, one that comes down.

    up    | nodes of the warp | a | b | a | b ...
    down  | out | out ...

The nodes' room depends on the network's size alone, so they stay while frames come and go behind them.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

from refusion.backends.tensorrt.network import BatchShape
from refusion.frames import Frame
from refusion.ranges import RangePolicy
from refusion.tasks import Chroma
from refusion.warp import FadeBox, Warp, lattice_shape

NODE_BYTES = 8

# Each frame begins where CUDA's own allocations would, so that kernels may load whole vectors.
ALIGNMENT = 256


class PairForm(NamedTuple):
    """What one pair is made of."""

    channels_a: int
    channels_b: int
    chroma: Chroma

    @property
    def channels_out(self) -> int:
        """Channels of the fused frame."""
        return 1 if self.chroma is Chroma.NONE else 3


class WarpForm(NamedTuple):
    """What decides which work a warp is, apart from its nodes."""

    source_height: int
    source_width: int
    box: FadeBox


class BatchForm(NamedTuple):
    """Everything that decides which work a batch is, apart from pixels and nodes."""

    height: int
    width: int
    pairs: tuple[PairForm, ...]
    policy: RangePolicy
    warp: WarpForm | None

    @classmethod
    def of(
        cls,
        pairs: Sequence[tuple[Frame, Frame]],
        chroma: Sequence[Chroma],
        policy: RangePolicy,
        warp: Warp | None,
    ) -> BatchForm:
        """Return the form of checked pairs."""
        height, width = pairs[0][1].shape[:2]
        forms = (
            PairForm(_channels(a), _channels(b), choice) for (a, b), choice in zip(pairs, chroma, strict=True)
        )
        through = None if warp is None else WarpForm(*warp.source_size[::-1], warp.fade_box)
        return cls(height, width, tuple(forms), policy, through)

    @property
    def size_a(self) -> tuple[int, int]:
        """Height and width of the sources a."""
        if self.warp is None:
            return self.height, self.width
        return self.warp.source_height, self.warp.source_width

    @property
    def shape(self) -> BatchShape:
        """What the network sees of it."""
        return BatchShape(len(self.pairs), self.height, self.width)


class Place(NamedTuple):
    """A frame in its block."""

    offset: int
    shape: tuple[int, ...]

    @property
    def size_bytes(self) -> int:
        """Bytes of the frame."""
        return math.prod(self.shape)


class BatchLayout(NamedTuple):
    """The places of all frames of a batch, packed without more gaps than alignment asks for."""

    a: tuple[Place, ...]
    b: tuple[Place, ...]
    out: tuple[Place, ...]
    frames_offset: int
    """Where the frames begin in the block that goes up; the warp's nodes are before."""
    input_bytes: int
    output_bytes: int


@functools.lru_cache(maxsize=64)
def layout_of(form: BatchForm) -> BatchLayout:
    """Lay out a batch."""
    size = (form.height, form.width)
    frames_offset = _nodes_bytes(form.shape)
    shapes = [
        shape
        for pair in form.pairs
        for shape in (_shape(form.size_a, pair.channels_a), _shape(size, pair.channels_b))
    ]
    sources, input_bytes = _packed(frames_offset, shapes)
    out, output_bytes = _packed(0, [_shape(size, pair.channels_out) for pair in form.pairs])
    return BatchLayout(sources[0::2], sources[1::2], out, frames_offset, input_bytes, output_bytes)


def capacity(form: BatchForm) -> tuple[int, int]:
    """Return the bytes that any batch of those sizes needs for its input and for its output."""
    batch = form.shape.batch
    frame_a, frame = (_aligned(3 * math.prod(size)) for size in (form.size_a, (form.height, form.width)))
    # Without a warp a is of the network's size: room for that is always kept.
    return _nodes_bytes(form.shape) + batch * (max(frame_a, frame) + frame), batch * frame


def _nodes_bytes(shape: BatchShape) -> int:
    return _aligned(NODE_BYTES * math.prod(lattice_shape((shape.width, shape.height))))


def _packed(start: int, shapes: Sequence[tuple[int, ...]]) -> tuple[tuple[Place, ...], int]:
    places, offset, end = [], start, start
    for shape in shapes:
        place = Place(offset, shape)
        places.append(place)
        end = offset + place.size_bytes
        offset = _aligned(end)
    return tuple(places), end


def _shape(size: tuple[int, int], channels: int) -> tuple[int, ...]:
    return size if channels == 1 else (*size, channels)


def _aligned(size_bytes: int) -> int:
    return -(-size_bytes // ALIGNMENT) * ALIGNMENT


def _channels(frame: Frame) -> int:
    return 1 if frame.ndim == 2 else 3
