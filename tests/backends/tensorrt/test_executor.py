"""The GPU executor against the CPU's, in every way that frames can come.

Each scenario runs on a fake GPU (fake_cuda.py, fake_work.py: what they keep of a real one and what not is
said there), with streams that do only what is waited for, with streams that run ahead at random, and with the
shared memory of integrated GPUs; and on a real GPU where there is one.
"""

from __future__ import annotations

import gc
import re
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from refusion.backends.tensorrt.executor import TensorRTExecutor
from refusion.errors import BackendError, InputError
from refusion.executor import Pending
from refusion.frames import Frame
from refusion.fused_stream import FusedStream, chroma_of
from refusion.ranges import OutputRange, RangePolicy
from refusion.tasks import Chroma

from .conftest import Rig
from .fake_cuda import FakeGpu

Pair = tuple[Frame, Frame]
RANDOM = np.random.default_rng(0)


def gray(height: int = 24, width: int = 40) -> Frame:
    return RANDOM.integers(0, 256, (height, width), np.uint8)


def colour(height: int = 24, width: int = 40) -> Frame:
    return RANDOM.integers(0, 256, (height, width, 3), np.uint8)


def moving(count: int, height: int = 24, width: int = 40) -> list[Pair]:
    """Pairs that change slowly, so that a tracked range matters, with a cut in the middle."""
    a, b = gray(height, width), colour(height, width)
    dark = [(a // 3 + 2 * i, b // 3 + 2 * i) for i in range(count // 2)]
    return dark + [(255 - 2 * i - a // 8, b) for i in range(count - count // 2)]


@pytest.fixture
def executor(rig: Rig) -> Iterator[TensorRTExecutor]:
    """An executor, closed after; on the fake, closing must leave nothing behind."""
    executor = rig.open()
    yield executor
    assert "without CUDA graphs" not in executor.description
    executor.close()
    if rig.gpu is not None:
        gc.collect()
        assert rig.gpu.memory == {}
        assert rig.gpu.page_locked == []
        assert rig.gpu.complaints == []
        assert rig.gpu.stack == []


def submit(executor: TensorRTExecutor | Rig, pairs: list[Pair], policy: str = "image") -> Pending:
    target = executor.expected if isinstance(executor, Rig) else executor
    return target.submit(pairs, [chroma_of(a, b) for a, b in pairs], OutputRange(RangePolicy.parse(policy)))


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


SIZES = [(24, 40), (8, 8), (96, 128), (24, 40), (33, 47), (96, 128), (24, 40)]


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


def test_nothing_is_allocated_after_the_first_frames(rig: Rig, executor: TensorRTExecutor) -> None:
    stream = FusedStream(executor, OutputRange(RangePolicy.tracked), None)
    stream(*moving(1)[0])
    before = rig.device.allocations
    assert before > 0
    for _ in stream.frames(moving(20)):
        pass
    assert submit(executor, [(gray(), gray())], "off").result()
    assert rig.device.allocations == before
    if rig.gpu is not None:
        assert rig.gpu.log.count("allocate") == before


def test_sizes_that_came_before_cost_no_allocation(rig: Rig, executor: TensorRTExecutor) -> None:
    counts = []
    for _ in range(2):
        for size in SIZES:
            submit(executor, [(gray(*size), colour(*size))]).result()
        counts.append(rig.device.allocations)
    assert counts[0] == counts[1]


def test_many_threads_share_it(rig: Rig, executor: TensorRTExecutor) -> None:
    sizes = [(24, 40), (16, 16), (24, 40)]
    failures: list[BaseException] = []
    # ONNX Runtime sums alike only when nothing else runs in its session; so the CPU's frames are made before.
    pairs = {index: moving(6, *size) for index, size in enumerate(sizes)}
    expected = {
        index: list(FusedStream(rig.expected, OutputRange(RangePolicy.tracked), None).frames(pairs[index]))
        for index in pairs
    }

    def work(index: int) -> None:
        try:
            stream = FusedStream(executor, OutputRange(RangePolicy.tracked), None)
            for found, other in zip(stream.frames(pairs[index]), expected[index], strict=True):
                rig.assert_equal(found, other)
        except BaseException as error:  # reported by the test
            failures.append(error)

    threads = [threading.Thread(target=work, args=(index,)) for index in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_another_thread_may_wait_and_again(rig: Rig, executor: TensorRTExecutor) -> None:
    pair = (gray(), colour())
    pending = submit(executor, [pair])
    results: list[Frame] = []
    thread = threading.Thread(target=lambda: results.extend(pending.result()))
    thread.start()
    thread.join()
    rig.assert_equal(results[0], submit(rig, [pair]).result()[0])
    assert pending.result()[0] is results[0]


def test_frames_that_nobody_waits_for_count_all_the_same(rig: Rig, executor: TensorRTExecutor) -> None:
    """Each frame's range follows from the frames before it, so none may be lost or overwritten."""
    pairs = moving(10)
    followers = [OutputRange(RangePolicy.tracked) for _ in range(2)]
    for pair in pairs[:-1]:
        executor.submit([pair], [Chroma.B], followers[0])
        rig.expected.submit([pair], [Chroma.B], followers[1])
    found, expected = (
        target.submit(pairs[-1:], [Chroma.B], follower).result()[0]
        for target, follower in zip((executor, rig.expected), followers, strict=True)
    )
    rig.assert_equal(found, expected)


def test_closing_finishes_what_is_in_flight(rig: Rig) -> None:
    executor = rig.open()
    pairs = [(gray(), colour()) for _ in range(2)]
    waiting = [submit(executor, [pair]) for pair in pairs]
    executor.close()
    executor.close()
    for pending, pair in zip(waiting, pairs, strict=True):
        rig.assert_equal(pending.result()[0], submit(rig, [pair]).result()[0])
    with pytest.raises(BackendError, match="the engine is closed"):
        submit(executor, pairs)


def test_an_executor_goes_when_the_last_frames_are_there(rig: Rig) -> None:
    pair = (gray(), colour())
    pending = submit(rig.open(), [pair])
    gc.collect()
    rig.assert_equal(pending.result()[0], submit(rig, [pair]).result()[0])
    del pending
    gc.collect()
    if rig.gpu is not None:
        assert rig.gpu.memory == {}
        assert rig.gpu.complaints == []


def test_a_size_that_the_engine_excludes(rig: Rig, executor: TensorRTExecutor) -> None:
    good = (gray(), colour())
    pending = submit(executor, [good])
    with pytest.raises(InputError, match=r"the engine takes 1x8x8 to 3x96x128 .*, not 1x200x300: export one"):
        submit(executor, [(gray(200, 300), gray(200, 300))])
    rig.assert_equal(pending.result()[0], submit(rig, [good]).result()[0])


def test_a_bad_pair_in_a_stream_comes_after_the_frames_before_it(
    rig: Rig, executor: TensorRTExecutor
) -> None:
    pairs = [(gray(), colour()) for _ in range(3)]
    frames = FusedStream(executor, OutputRange(RangePolicy.image), None).frames(
        [*pairs, (gray(), colour(8, 8)), *pairs]
    )
    for pair in pairs:
        rig.assert_equal(next(frames), submit(rig, [pair]).result()[0])
    with pytest.raises(InputError, match="a is 40x24, b is 8x8"):
        next(frames)


# What follows looks inside the fake.


def test_two_frames_are_in_flight(gpu: FakeGpu, rig_lazy: Rig) -> None:
    executor = rig_lazy.open()
    for _ in range(4):
        submit(executor, [(gray(), gray())]).result()
    gpu.log.clear()
    waiting = [submit(executor, [(gray(), gray())]) for _ in range(2)]
    # It waits for the slots alone, which are empty: nothing of the first frame has run when the second is up.
    assert [entry for entry in gpu.log if entry != "wait"] == ["up", "graph", "down"] * 2
    assert [len(stream.queue) > 2 for stream in gpu.streams.values()] == [True] * 3
    for pending in waiting:
        pending.result()
    executor.close()


def test_each_slot_captures_once_and_then_replays(gpu: FakeGpu, rig_lazy: Rig) -> None:
    executor = rig_lazy.open()
    stream = FusedStream(executor, OutputRange(RangePolicy.tracked), None)
    list(stream.frames(moving(10)))
    # Two plain runs, two captures (in which the network is enqueued, too), and all from then on as graphs.
    assert gpu.log.count("network") == 4
    assert gpu.log.count("graph") == 8
    gpu.log.clear()
    list(stream.frames(moving(4, 16, 16)))
    assert gpu.log.count("network") == 4
    executor.close()


def test_graphs_are_bounded(gpu: FakeGpu, rig_lazy: Rig) -> None:
    from refusion.backends.tensorrt.graphs import KEPT

    executor = rig_lazy.open()
    streams = [FusedStream(executor, OutputRange(RangePolicy.tracked), None) for _ in range(2 * KEPT)]
    for _ in range(2):
        for stream in streams:
            stream(gray(), gray())
    assert len(executor._pipeline._graphs._graphs) == KEPT
    executor.close()


def test_without_graphs_where_they_fail(engine: object, rig_lazy: Rig) -> None:
    engine.refuses_capture = True  # type: ignore[attr-defined]
    executor = rig_lazy.open()
    assert "without CUDA graphs" not in executor.description
    for _ in range(6):
        pairs = [(gray(), colour())]
        rig_lazy.assert_equal(submit(executor, pairs).result()[0], submit(rig_lazy, pairs).result()[0])
    assert re.fullmatch(
        r"TensorRT 10\.3\.0, Fake GPU, fake\.plan; pre- and post-processing: CUDA, without CUDA graphs "
        r"\(TensorRT 10\.3\.0 could not run the network: .*\)",
        executor.description,
    )
    executor.close()


def test_a_device_that_fails_says_so_to_who_waits(gpu: FakeGpu, rig_lazy: Rig) -> None:
    executor = rig_lazy.open()
    stream = FusedStream(executor, OutputRange(RangePolicy.image), None)

    def sources() -> Iterator[Pair]:
        for index in range(9):
            if index == 4:
                gpu.broken = "an illegal memory access was encountered"
            yield gray(), colour()

    frames = stream.frames(sources())
    got = [next(frames) for _ in range(3)]
    assert len(got) == 3
    message = "Fake GPU failed at fusing 40x24: an illegal memory access was encountered"
    with pytest.raises(BackendError, match=message):
        next(frames)
    executor.close()


def test_too_little_memory_names_the_size_and_smaller_frames_go_on(gpu: FakeGpu, rig_lazy: Rig) -> None:
    executor = rig_lazy.open()
    pair = (gray(), colour())
    expected = submit(rig_lazy, [pair]).result()[0]
    rig_lazy.assert_equal(submit(executor, [pair]).result()[0], expected)
    gpu.memory_bytes = 300_000
    big = [(gray(96, 128), colour(96, 128)) for _ in range(3)]
    message = "Fake GPU has too little free memory for fusing 3 pairs of 128x96"
    with pytest.raises(BackendError, match=message):
        submit(executor, big)
    rig_lazy.assert_equal(submit(executor, [pair]).result()[0], expected)
    executor.close()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tensors": ("sources", "other")}, "the engine is not a ReFusion network: expected the tensors"),
        ({"has_memory": False}, "TensorRT 10.3.0 could not prepare the engine to run: it logged no reason"),
    ],
)
def test_engines_that_cannot_run(
    engine: object, rig_lazy: Rig, changes: dict[str, object], message: str
) -> None:
    for name, value in changes.items():
        setattr(engine, name, value)
    with pytest.raises(BackendError, match=re.escape(message)):
        rig_lazy.open()
