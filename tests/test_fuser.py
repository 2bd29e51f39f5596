from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

from refusion import BackendError, Chroma, Fuser, InputError, UsageError
from refusion.fused_stream import FusedStream
from refusion.ranges import OutputRange, RangePolicy

RANDOM = np.random.default_rng(0)


def gray(height: int, width: int) -> np.ndarray:
    return RANDOM.integers(0, 256, (height, width), np.uint8)


def colour(height: int, width: int) -> np.ndarray:
    return RANDOM.integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture(scope="module")
def fuser() -> Fuser:
    return Fuser("ivif")


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 37), (41, 1), (2, 3), (33, 47), (120, 160)])
@pytest.mark.parametrize("make_b", [gray, colour])
def test_any_size_and_colour(fuser: Fuser, height: int, width: int, make_b: object) -> None:
    b = make_b(height, width)  # type: ignore[operator]
    fused = fuser(gray(height, width), b)
    assert fused.dtype == np.uint8
    assert fused.shape == b.shape


def test_two_gray_sources_in_three_channels_give_gray(fuser: Fuser) -> None:
    a = gray(20, 30)
    assert fuser(a, np.dstack([a] * 3)).shape == (20, 30)


def test_a_still_uses_the_whole_range_and_off_does_not() -> None:
    a, b = gray(32, 32) // 4 + 60, gray(32, 32) // 4 + 60
    stretched = Fuser("ivif")(a, b)
    assert (stretched.min(), stretched.max()) == (0, 255)
    raw = Fuser("ivif", output_range="off")
    np.testing.assert_array_equal(raw(a, b), np.rint(255 * raw.luma(a, b)).astype(np.uint8))
    assert (raw(a, b).min(), raw(a, b).max()) != (0, 255)


def test_a_batch_equals_single_calls(fuser: Fuser) -> None:
    pairs = [(gray(24, 36), colour(24, 36)) for _ in range(3)]
    for fused, (a, b) in zip(fuser.batch(pairs), pairs, strict=True):
        # The runtime may sum in another order for a batch: one gray level.
        assert np.abs(fused.astype(int) - fuser(a, b)).max() <= 1
    assert fuser.batch([]) == []


def test_sources_may_be_any_numpy_slices(fuser: Fuser) -> None:
    a, b = gray(40, 60), colour(40, 60)
    expected = fuser(np.ascontiguousarray(a[::-1, ::2]), np.ascontiguousarray(b[::-1, ::2]))
    np.testing.assert_array_equal(fuser(a[::-1, ::2], b[::-1, ::2]), expected)


def test_bad_pairs_are_refused(fuser: Fuser) -> None:
    with pytest.raises(InputError, match="a is 6x4, b is 6x5"):
        fuser(gray(4, 6), gray(5, 6))
    with pytest.raises(InputError, match="one size: found 6x4 and 5x4"):
        fuser.batch([(gray(4, 6), gray(4, 6)), (gray(4, 5), gray(4, 5))])
    bad = np.zeros((4, 6))
    bad[1, 1] = np.nan
    with pytest.raises(InputError, match="source b must be uint8.*1 of its 24 values are NaN"):
        fuser(gray(4, 6), bad)


def test_threads_may_share_a_fuser(fuser: Fuser) -> None:
    pairs = [(gray(30, 30), colour(30, 30)) for _ in range(6)]
    expected = [fuser(a, b) for a, b in pairs]
    results: list[np.ndarray | None] = [None] * len(pairs)

    def work(index: int) -> None:
        results[index] = fuser(*pairs[index])

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(pairs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result, fused in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result, fused)


def test_a_stream_decides_colour_once_and_keeps_its_range(fuser: Fuser) -> None:
    fuse = fuser.stream()
    first = fuse(gray(32, 32), colour(32, 32))
    gray_moment = gray(32, 32)
    second = fuse(gray(32, 32), np.dstack([gray_moment] * 3))
    assert first.shape == second.shape == (32, 32, 3)
    assert fuser.stream(chroma=Chroma.NONE)(gray(8, 8), colour(8, 8)).shape == (8, 8)


def test_frames_of_a_stream_equal_its_calls(fuser: Fuser) -> None:
    pairs = [(gray(16, 24) // 2 + index, colour(16, 24)) for index in range(5)]
    call, frames = fuser.stream(), fuser.stream().frames(iter(pairs))
    for found, pair in zip(frames, pairs, strict=True):
        np.testing.assert_array_equal(found, call(*pair))


class Later:
    """An executor that keeps three submissions, and hands their frames out when they are asked for."""

    description, frames_in_flight = "later", 3

    def __init__(self) -> None:
        self.in_flight = self.most_in_flight = 0

    def submit(self, pairs: Any, chroma: Any, follower: Any, warp: Any = None) -> Any:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        return Promise(self, pairs[0][0])

    def luma(self, pairs: Any, warp: Any = None) -> Any:
        raise AssertionError("a stream asks for frames, not for luma")

    def close(self) -> None:
        """Nothing to close."""


class Promise(NamedTuple):
    """The frame of a pair, which fails for pairs of the value 9."""

    executor: Later
    frame: Any

    def result(self) -> list[Any]:
        self.executor.in_flight -= 1
        if self.frame[0, 0] == 9:
            raise BackendError("the device failed")
        return [self.frame]


def values(frames: Any, into: list[int]) -> None:
    for frame in frames:
        into.append(int(frame[0, 0]))


def numbered(*values: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for value in values:
        if value < 0:
            raise InputError("the source is damaged")
        frame = np.full((4, 4), value, np.uint8)
        yield frame, frame if value != 8 else np.zeros((5, 5), np.uint8)


@pytest.mark.parametrize(
    ("sources", "expected", "message"),
    [
        ((), [], None),
        ((1, 2), [1, 2], None),
        ((1, 2, 3, 4, 5), [1, 2, 3, 4, 5], None),
        ((1, 2, 3, 4, -1), [1, 2, 3, 4], "the source is damaged"),
        ((1, 8, 3), [1], "a is 4x4, b is 5x5"),
        ((1, 2, 9, 4, 5, 6), [1, 2], "the device failed"),
        # What comes first is raised first, though the source failed before anybody asked for the frame.
        ((1, 9, -1), [1], "the device failed"),
    ],
)
def test_what_fails_is_raised_in_its_place(
    sources: tuple[int, ...], expected: list[int], message: str | None
) -> None:
    executor, found = Later(), []  # type: ignore[var-annotated]
    frames = FusedStream(executor, OutputRange(RangePolicy.off), None).frames(numbered(*sources))
    if message is None:
        values(frames, found)
    else:
        with pytest.raises((InputError, BackendError), match=message):
            values(frames, found)
    assert found == expected
    assert executor.most_in_flight <= executor.frames_in_flight


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"task": "nope"}, UsageError, "there is no task 'nope'"),
        ({"model": "small"}, UsageError, "there is no model 'small'; choose one of full, lite"),
        (
            {"backend": "cuda"},
            UsageError,
            "no backend 'cuda'; choose one of auto, native, native-bf16, onnxruntime, torch",
        ),
        ({"device": "gpu"}, UsageError, "there is no device 'gpu'; choose one of auto, cpu, cuda"),
        ({"output_range": "tracked"}, UsageError, r"use Fuser.stream\(\)"),
        ({"weights": "none.onnx"}, InputError, "there is no model none.onnx"),
        ({"weights": "model.bin"}, UsageError, "must end in one of .safetensors, .pth, .pt, .onnx"),
        (
            {"weights": "x.onnx", "backend": "torch"},
            UsageError,
            "the torch backend reads .safetensors or .pth or .pt files",
        ),
    ],
)
def test_bad_options_are_refused(options: dict[str, str], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Fuser(**options)  # type: ignore[arg-type]


def test_it_says_what_runs_and_closes_twice() -> None:
    with Fuser("ivif") as fuser:
        assert ", CPU; pre- and post-processing: " in fuser.description
    fuser.close()
