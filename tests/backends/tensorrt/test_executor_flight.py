"""What the GPU executor has in flight, what it captures, and how it fails. See test_executor.py."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from refusion.backends.tensorrt.executor import TensorRTExecutor
from refusion.errors import BackendError, InputError
from refusion.fused_stream import FusedStream
from refusion.ranges import OutputRange, RangePolicy

from .conftest import Rig
from .fake_cuda import FakeGpu
from .scenarios import Pair, colour, gray, moving, submit


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
