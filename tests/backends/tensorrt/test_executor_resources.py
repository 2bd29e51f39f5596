"""What the GPU executor holds: memory, from any thread, until it is closed. See test_executor.py."""

from __future__ import annotations

import gc
import threading

import pytest

from refusion.backends.tensorrt.executor import TensorRTExecutor
from refusion.errors import BackendError
from refusion.frames import Frame
from refusion.fused_stream import FusedStream
from refusion.ranges import OutputRange, RangePolicy
from refusion.tasks import Chroma

from .conftest import Rig
from .scenarios import SIZES, colour, gray, moving, submit


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
