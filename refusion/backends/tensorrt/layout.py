"""Where the frames of a batch stand in its two blocks of memory: one that goes up, one that comes down."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

from refusion.backends.tensorrt.network import BatchShape
from refusion.frames import Frame
from refusion.ranges import RangePolicy
from refusion.tasks import Chroma

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


class BatchForm(NamedTuple):
    """Everything that decides which work a batch is, apart from the pixels."""

    height: int
    width: int
    pairs: tuple[PairForm, ...]
    policy: RangePolicy

    @classmethod
    def of(
        cls, pairs: Sequence[tuple[Frame, Frame]], chroma: Sequence[Chroma], policy: RangePolicy
    ) -> BatchForm:
        """Return the form of checked pairs of one size."""
        height, width = pairs[0][0].shape[:2]
        forms = (
            PairForm(_channels(a), _channels(b), choice) for (a, b), choice in zip(pairs, chroma, strict=True)
        )
        return cls(height, width, tuple(forms), policy)

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
    input_bytes: int
    output_bytes: int


@functools.lru_cache(maxsize=64)
def layout_of(form: BatchForm) -> BatchLayout:
    """Lay out a batch."""
    size = (form.height, form.width)
    sources, input_bytes = _packed(
        size, [n for pair in form.pairs for n in (pair.channels_a, pair.channels_b)]
    )
    out, output_bytes = _packed(size, [pair.channels_out for pair in form.pairs])
    return BatchLayout(sources[0::2], sources[1::2], out, input_bytes, output_bytes)


def capacity(shape: BatchShape) -> tuple[int, int]:
    """Return the bytes that any batch of that shape needs for its input and for its output."""
    frame = _aligned(3 * shape.height * shape.width)
    return 2 * shape.batch * frame, shape.batch * frame


def _packed(size: tuple[int, int], channels: Sequence[int]) -> tuple[tuple[Place, ...], int]:
    places, offset, end = [], 0, 0
    for count in channels:
        place = Place(offset, size if count == 1 else (*size, count))
        places.append(place)
        end = offset + place.size_bytes
        offset = _aligned(end)
    return tuple(places), end


def _aligned(size_bytes: int) -> int:
    return -(-size_bytes // ALIGNMENT) * ALIGNMENT


def _channels(frame: Frame) -> int:
    return 1 if frame.ndim == 2 else 3
