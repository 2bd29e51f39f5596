"""The GPU executor through warps: against the CPU, with warps that change. See test_executor.py."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from refusion.backends.tensorrt.executor import TensorRTExecutor
from refusion.frames import Frame
from refusion.fused_stream import FusedStream
from refusion.ranges import OutputRange, RangePolicy
from refusion.tasks import Chroma
from refusion.warp import Warp

from .conftest import Rig
from .fake_cuda import FakeGpu
from .scenarios import colour, gray

Triple = tuple[Frame, Frame, Warp | None]
SIZE, SMALL, LARGE = (40, 24), (16, 12), (100, 90)


def turned(degrees: float, source_size: tuple[int, int] = SMALL, size: tuple[int, int] = SIZE) -> Warp:
    """The middles fall together; corners of the output are outside of the source."""
    turn = np.deg2rad(degrees)
    matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    scale = source_size[0] / size[0]
    middles = [np.array([length - 1 for length in lengths]) / 2 for lengths in (size, source_size)]
    return Warp.of(
        lambda pixels: (pixels - middles[0]) @ matrix * scale + middles[1],
        size=size,
        source_size=source_size,
    )


def moving(count: int, source_size: tuple[int, int] = SMALL) -> list[Triple]:
    """Pairs whose warp stays for three frames and then turns."""
    warps = [turned(10.0 * index, source_size) for index in range(-(-count // 3))]
    return [(gray(*source_size[::-1]), colour(*SIZE[::-1]), warps[index // 3]) for index in range(count)]


def compare(rig: Rig, executor: TensorRTExecutor, triples: list[Triple]) -> None:
    streams = [
        FusedStream(target, OutputRange(RangePolicy.tracked), Chroma.B) for target in (executor, rig.expected)
    ]
    for found, expected in zip(*(stream.frames(triples) for stream in streams), strict=True):
        rig.assert_equal(found, expected)


@pytest.mark.parametrize("source_size", [SMALL, LARGE, SIZE])
def test_a_stream_whose_warp_changes(
    rig: Rig, executor: TensorRTExecutor, source_size: tuple[int, int]
) -> None:
    compare(rig, executor, moving(14, source_size))


def test_warps_sizes_and_pairs_without_a_warp_take_turns(rig: Rig, executor: TensorRTExecutor) -> None:
    plain: list[Triple] = [(gray(), colour(), None) for _ in range(3)]
    big: list[Triple] = [(gray(96, 128), colour(96, 128), None) for _ in range(3)]
    again = moving(6)
    compare(rig, executor, [*again, *plain, *again, *big, *again, *moving(4, LARGE), *again])


def test_a_warp_that_other_frames_overwrote_is_sent_again(rig: Rig, executor: TensorRTExecutor) -> None:
    warp = turned(5.0, SMALL, (128, 96))
    wide: list[Triple] = [(gray(12, 16), colour(96, 128), warp) for _ in range(2)]
    plain: list[Triple] = [(gray(), colour(), None) for _ in range(2)]
    compare(rig, executor, [*wide, *plain, *wide])


def test_a_batch_through_one_warp(rig: Rig, executor: TensorRTExecutor) -> None:
    warp = turned(5.0)
    pairs = [(gray(12, 16), colour() if index % 2 else gray()) for index in range(7)]
    chroma = [Chroma.B if index % 2 else Chroma.NONE for index in range(7)]
    off = OutputRange(RangePolicy.off)
    found, expected = (
        target.submit(pairs, chroma, off, warp).result() for target in (executor, rig.expected)
    )
    for one, other in zip(found, expected, strict=True):
        rig.assert_equal(one, other)
    planes, expected_planes = executor.luma(pairs, warp), rig.expected.luma(pairs, warp)
    assert planes.shape == (7, 24, 40)
    assert np.abs(planes - expected_planes).max() < (1e-5 if rig.gpu is not None else 0.02)


def triples(warps: list[Warp]) -> Iterator[Triple]:
    return ((gray(12, 16), colour(), warp) for warp in warps)


def test_another_warp_is_sent_once_and_captured_never(gpu: FakeGpu, rig_lazy: Rig) -> None:
    executor = rig_lazy.open()
    stream = FusedStream(executor, OutputRange(RangePolicy.tracked), None)
    list(stream.frames(triples([turned(5.0)] * 4)))
    gpu.log.clear()
    sent: list[int] = []
    memcpy, driver = executor._device.driver.memcpy_htod_async, executor._device.driver

    def counted(dest: int, source: np.ndarray, copying: object) -> None:
        sent.append(source.size)
        memcpy(dest, source, copying)

    driver.memcpy_htod_async = counted
    second, third = turned(6.0), turned(7.0)
    list(stream.frames(triples([second, second, second, second, third, third])))
    frames, nodes = 16 * 12 + -16 * 12 % 256 + 40 * 24 * 3, 256
    assert sent == [frames + nodes, frames + nodes, frames, frames, frames + nodes, frames + nodes]
    assert gpu.log.count("graph") == 6
    assert gpu.log.count("network") == 0
    executor.close()


def test_nothing_is_allocated_for_another_warp(rig: Rig, executor: TensorRTExecutor) -> None:
    stream = FusedStream(executor, OutputRange(RangePolicy.tracked), None)
    list(stream.frames(moving(2)))
    before = rig.device.allocations
    list(stream.frames(moving(9)))
    assert rig.device.allocations == before
