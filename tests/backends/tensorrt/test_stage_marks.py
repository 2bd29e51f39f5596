"""The stages of a batch on the device, timed where the clock asks. The fake GPU has 1 ms between events."""

from __future__ import annotations

import pytest

from refusion.backends.tensorrt.executor import TensorRTExecutor
from refusion.fused_stream import FusedStream
from refusion.ranges import OutputRange, RangePolicy
from refusion.timing import StageClock

from .conftest import Rig
from .scenarios import colour, gray, moving, submit

STAGES = ("upload", "pre", "network", "post", "download")


@pytest.fixture
def clock(rig: Rig, executor: TensorRTExecutor) -> StageClock:
    """The clock of the executor, which times the device."""
    executor._clock.times_device = True
    return executor._clock


def test_each_stage_of_each_frame_is_timed(rig: Rig, executor: TensorRTExecutor, clock: StageClock) -> None:
    for _ in range(5):  # plain, plain, captured, captured, replayed
        pairs = [(gray(), colour())]
        rig.assert_equal(submit(executor, pairs).result()[0], submit(rig, pairs).result()[0])
    times_ms = clock.calls_ms()
    assert {name: len(times_ms[name]) for name in STAGES} == dict.fromkeys(STAGES, 5)
    assert all(value > 0 for name in STAGES for value in times_ms[name])
    assert "without CUDA graphs" not in executor.description


def test_frames_in_flight_are_timed_each_on_its_own(
    rig: Rig, executor: TensorRTExecutor, clock: StageClock
) -> None:
    pairs = moving(7)
    found, expected = (
        list(FusedStream(target, OutputRange(RangePolicy.tracked), None).frames(pairs))
        for target in (executor, rig.expected)
    )
    for one, other in zip(found, expected, strict=True):
        rig.assert_equal(one, other)
    assert {len(clock.calls_ms()[name]) for name in STAGES} == {7}


def test_copies_of_the_host_count_as_upload_and_download(rig_lazy: Rig) -> None:
    executor = rig_lazy.open()
    executor._clock.times_device = True
    submit(executor, [(gray(), colour())]).result()
    times_ms = executor._clock.median_ms()
    assert (times_ms["pre"], times_ms["network"], times_ms["post"]) == (1.0, 1.0, 1.0)
    assert times_ms["upload"] > 1.0
    assert times_ms["download"] > 1.0
    executor.close()


def test_nothing_on_the_device_is_timed_unasked(rig_lazy: Rig) -> None:
    executor = rig_lazy.open()
    submit(executor, [(gray(), gray())]).result()
    assert list(executor._clock.calls_ms()) == ["submit", "wait"]
    executor.close()
