"""The GPU executor against the CPU's, in every way that frames can come.

Each scenario runs on a fake GPU (fake_cuda.py, fake_work.py: what they keep of a real one and what not is
said there), with streams that do only what is waited for, with streams that run ahead at random, and with the
shared memory of integrated GPUs; and on a real GPU where there is one.
"""

from __future__ import annotations

import gc

import numpy as np
import pytest

from refusion.backends.tensorrt.executor import TensorRTExecutor
from refusion.fused_stream import FusedStream
from refusion.ranges import OutputRange, RangePolicy
from refusion.tasks import Chroma

from .conftest import Rig
from .scenarios import SIZES, colour, gray, moving, submit


@pytest.mark.parametrize("policy", ["image", "off"])
@pytest.mark.parametrize("make_a", [gray, colour])
@pytest.mark.parametrize("make_b", [gray, colour])
def test_stills(rig: Rig, executor: TensorRTExecutor, policy: str, make_a: object, make_b: object) -> None:
    for _ in range(5):  # plain, plain, captured, captured, replayed
        pairs = [(make_a(), make_b())]  # type: ignore[operator]
        (found,) = submit(executor, pairs, policy).result()
        (expected,) = submit(rig, pairs, policy).result()
        rig.assert_equal(found, expected)


def test_colour_comes_and_goes_between_captured_frames(rig: Rig, executor: TensorRTExecutor) -> None:
    makers = [(gray, gray), (gray, colour), (colour, gray), (colour, colour)]
    for _ in range(4):
        for make_a, make_b in makers:
            for _ in range(2):  # each slot
                pairs = [(make_a(), make_b())]
                found, expected = (submit(target, pairs).result()[0] for target in (executor, rig))
                rig.assert_equal(found, expected)


@pytest.mark.parametrize("chroma", list(Chroma))
def test_any_colour_policy(rig: Rig, executor: TensorRTExecutor, chroma: Chroma) -> None:
    pairs = [(colour(), colour())]
    off = OutputRange(RangePolicy.off)
    expected = rig.expected.submit(pairs, [chroma], off).result()
    rig.assert_equal(executor.submit(pairs, [chroma], off).result()[0], expected[0])


@pytest.mark.parametrize("policy", ["tracked", "image", "off"])
def test_a_stream_overlaps_and_equals_the_cpu(rig: Rig, executor: TensorRTExecutor, policy: str) -> None:
    pairs = moving(12)
    streams = (
        FusedStream(target, OutputRange(RangePolicy(policy)), None) for target in (executor, rig.expected)
    )
    found, expected = (list(stream.frames(pairs)) for stream in streams)
    assert len(found) == len(pairs)
    for one, other in zip(found, expected, strict=True):
        rig.assert_equal(one, other)


def test_streams_beside_each_other_keep_their_own_ranges(rig: Rig, executor: TensorRTExecutor) -> None:
    sources = [moving(8), moving(8)[::-1]]
    both = [
        [FusedStream(target, OutputRange(RangePolicy.tracked), None) for _ in sources]
        for target in (executor, rig.expected)
    ]
    for pairs in zip(*sources, strict=True):
        for stream, reference, (a, b) in zip(*both, pairs, strict=True):
            rig.assert_equal(stream(a, b), reference(a, b))


def test_a_stream_that_is_gone_leaves_its_memory_to_the_next(rig: Rig, executor: TensorRTExecutor) -> None:
    pairs = moving(6)
    allocations = []
    for _ in range(4):
        found = list(FusedStream(executor, OutputRange(RangePolicy.tracked), None).frames(pairs))
        expected = FusedStream(rig.expected, OutputRange(RangePolicy.tracked), None).frames(pairs)
        for one, other in zip(found, expected, strict=True):
            rig.assert_equal(one, other)
        gc.collect()
        allocations.append(rig.device.allocations)
    assert len(set(allocations)) == 1


@pytest.mark.parametrize("count", [2, 3, 7])
def test_batches_of_mixed_colour(rig: Rig, executor: TensorRTExecutor, count: int) -> None:
    """Seven are more than the engine takes at a time."""
    for _ in range(3):
        pairs = [(gray(), colour() if index % 2 else gray()) for index in range(count)]
        found, expected = (submit(target, pairs).result() for target in (executor, rig))
        assert len(found) == count
        for one, other in zip(found, expected, strict=True):
            rig.assert_equal(one, other)


def test_a_tracked_range_sees_a_batch_in_order(rig: Rig, executor: TensorRTExecutor) -> None:
    pairs = moving(6)
    followers = [OutputRange(RangePolicy.tracked) for _ in range(2)]
    for start in (0, 3):
        found, expected = (
            target.submit(pairs[start : start + 3], [Chroma.B] * 3, follower).result()
            for target, follower in zip((executor, rig.expected), followers, strict=True)
        )
        for one, other in zip(found, expected, strict=True):
            rig.assert_equal(one, other)


def test_changing_sizes_in_one_stream(rig: Rig, executor: TensorRTExecutor) -> None:
    pairs = [pair for size in SIZES for pair in moving(4, *size)]
    streams = [
        FusedStream(target, OutputRange(RangePolicy.tracked), Chroma.B) for target in (executor, rig.expected)
    ]
    for found, expected in zip(*(stream.frames(pairs) for stream in streams), strict=True):
        rig.assert_equal(found, expected)


def test_sizes_change_with_frames_in_flight(rig: Rig, executor: TensorRTExecutor) -> None:
    """The frames that are asked for last are of a shape whose memory the later ones took over."""
    pairs = [(gray(*size), colour(*size)) for size in SIZES]
    waiting = [submit(executor, [pair]) for pair in pairs]
    for pending, pair in zip(waiting, pairs, strict=True):
        rig.assert_equal(pending.result()[0], submit(rig, [pair]).result()[0])


def test_luma_between_frames(rig: Rig, executor: TensorRTExecutor) -> None:
    pairs = [(gray(), colour()) for _ in range(4)]
    pending = submit(executor, pairs[:1])
    found, expected = executor.luma(pairs), rig.expected.luma(pairs)
    assert (found.shape, found.dtype) == (expected.shape, np.float32)
    assert np.abs(found - expected).max() < (1e-5 if rig.gpu is not None else 0.02)
    rig.assert_equal(pending.result()[0], submit(rig, pairs[:1]).result()[0])


def test_any_strides_and_later_changes_of_the_source(rig: Rig, executor: TensorRTExecutor) -> None:
    a, b = gray(48, 80), colour(48, 80)
    pair = (a[::-2, ::2], b[::2, ::-2])
    expected = submit(rig, [pair]).result()[0]
    pending = submit(executor, [pair])
    a[:], b[:] = 0, 0
    rig.assert_equal(pending.result()[0], expected)
