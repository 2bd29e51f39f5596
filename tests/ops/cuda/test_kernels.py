"""The CUDA kernels equal the definition, over sizes, layouts in memory, colour, levels, warps and values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from refusion import ranges
from refusion.ops import reference
from refusion.ranges import OutputRange, RangePolicy
from refusion.tasks import Chroma
from refusion.warp import Warp

# Around pieces of 8 pixels, tiles of 32x8 and of 256, and blocks.
SIZES = [
    (1, 1),
    (1, 7),
    (3, 8),
    (5, 17),
    (5, 19),
    (9, 64),
    (13, 33),
    (16, 640),
    (31, 255),
    (67, 131),
    (480, 640),
]
HALF = pytest.mark.parametrize("half", [False, True], ids=["fp32", "fp16"])
SIZE = pytest.mark.parametrize("size", SIZES, ids=[f"{width}x{height}" for height, width in SIZES])


@dataclass(frozen=True)
class Picture:
    """A source and how it lies in device memory."""

    pixels: np.ndarray
    gap_bytes: int = 0
    offset_bytes: int = 0
    levels: tuple[float, float] = (0.0, 255.0)
    kept: list[Any] = field(default_factory=list)

    def on(self, engine: Any) -> Any:
        """Return it as a CudaImage; the picture keeps the memory."""
        height, width = self.pixels.shape[:2]
        rows = np.ascontiguousarray(self.pixels).reshape(height, -1).view(np.uint8)
        laid_out = np.full((height, rows.shape[1] + self.gap_bytes), 0x5A, np.uint8)
        laid_out[:, : rows.shape[1]] = rows
        memory = engine.memory(laid_out, self.offset_bytes)
        self.kept.append(memory)
        return engine.CudaImage(
            memory.pointer,
            height,
            width,
            1 if self.pixels.ndim == 2 else 3,
            bits=8 * self.pixels.itemsize,
            row_bytes=laid_out.shape[1],
            levels=self.levels,
        )

    @property
    def scaled(self) -> np.ndarray:
        """The pixels on the 8-bit scale, float64."""
        if self.pixels.dtype == np.uint8 and self.levels == (0.0, 255.0):
            return self.pixels.astype(np.float64)
        low, high = self.levels
        return np.clip((self.pixels.astype(np.float64) - low) * 255 / (high - low), 0, 255)


def luma(image: np.ndarray) -> np.ndarray:
    """BT.601 luma in float64."""
    return image if image.ndim == 2 else image @ np.array([0.114, 0.587, 0.299])


def sources(size: tuple[int, int], seed: int = 0) -> list[Picture]:
    """Every kind of source, on aligned rows without gaps, with gaps, and at odd addresses."""
    random = np.random.default_rng((seed, *size))
    gray, bgr = random.integers(0, 256, size, np.uint8), random.integers(0, 256, (*size, 3), np.uint8)
    raw, raw_bgr = (
        random.integers(0, 2**16, size, np.uint16),
        random.integers(0, 2**16, (*size, 3), np.uint16),
    )
    filler = -bgr[0].nbytes % 16
    return [
        Picture(gray),
        Picture(bgr),
        Picture(gray, gap_bytes=-gray[0].nbytes % 16 + 16),
        Picture(bgr, gap_bytes=filler),
        Picture(gray, gap_bytes=3, offset_bytes=1),
        Picture(bgr, gap_bytes=1),
        Picture(bgr, offset_bytes=5),
        Picture(gray, levels=(20.0, 200.0)),
        Picture(raw, levels=(7000.0, 50000.5)),
        Picture(raw_bgr, levels=(0.0, 65535.0)),
        Picture(raw, gap_bytes=-raw[0].nbytes % 16, levels=(30000.0, 30100.0)),
        Picture(raw, gap_bytes=2, offset_bytes=2, levels=(0.0, 65535.0)),
        Picture(raw_bgr, offset_bytes=2, levels=(100.0, 60000.0)),
    ]


def preprocessed(
    engine: Any, a: Picture, b: Picture, size: tuple[int, int], half: bool, warp: Warp | None = None
) -> np.ndarray:
    out = engine.memory(np.full((2, *size), np.nan, np.float16 if half else np.float32))
    call = {"half": half, "stream": 0}
    if warp is not None:
        nodes = engine.memory(warp.nodes)
        call["warp"] = engine.CudaWarp(nodes.pointer, warp.fade_box)
    engine.cuda_preprocess(a.on(engine), b.on(engine), out.pointer, *size, **call)
    return out.read()


@HALF
@SIZE
def test_preprocess_equals_the_definition(engine: Any, size: tuple[int, int], half: bool) -> None:
    everything = sources(size)
    for a, b in zip(everything, reversed(everything), strict=True):
        planes = preprocessed(engine, a, b, size, half)
        for plane, source in zip(planes, (a, b), strict=True):
            expected = luma(source.scaled) / 255
            # 2^-11 is half a step of FP16 next to 1.
            np.testing.assert_allclose(plane, expected, rtol=0, atol=2**-11 if half else 1e-6)


@SIZE
def test_preprocess_of_8_bit_images_has_the_bits_of_the_native_code(
    engine: Any, size: tuple[int, int]
) -> None:
    native = pytest.importorskip("refusion.ops.native", reason="the compiled module is not built")
    for a, b in [(0, 1), (3, 2), (6, 4)]:
        pair = sources(size)[a], sources(size)[b]
        expected = np.empty((2, *size), np.float32)
        native.preprocess(pair[0].pixels, pair[1].pixels, expected)
        np.testing.assert_array_equal(preprocessed(engine, *pair, size, half=False), expected)
        np.testing.assert_array_equal(
            preprocessed(engine, *pair, size, half=True), expected.astype(np.float16)
        )


def registration(size: tuple[int, int], source: tuple[int, int]) -> Warp:
    """As of two cameras side by side: scale, small rotation, perspective, parts outside, a hole."""
    scale_x, scale_y = source[1] / size[1], source[0] / size[0]
    matrix = np.array([[scale_x * 1.1, 0.05, -3.3], [-0.04, scale_y * 0.95, 2.7], [3e-5, -2e-5, 1.0]])
    even = Warp.of_homography(matrix, size=size[::-1], source_size=source[::-1])
    nodes = even.nodes.copy()
    nodes[nodes.shape[0] // 3, nodes.shape[1] // 2] = np.nan
    return Warp(nodes, even.size, even.source_size)


WARPED_SIZES = pytest.mark.parametrize(
    ("size", "source"),
    [
        ((48, 65), (31, 40)),
        ((120, 160), (240, 320)),
        ((7, 9), (1, 1)),
        ((1, 1), (5, 4)),
        ((33, 8), (6, 50)),
        ((1, 640), (40, 30)),
    ],
)


@HALF
@pytest.mark.parametrize("channels", [(), (3,)], ids=["gray", "bgr"])
@WARPED_SIZES
def test_warps_equal_the_definition(
    engine: Any, size: tuple[int, int], source: tuple[int, int], channels: Any, half: bool
) -> None:
    random = np.random.default_rng(1)
    warp = registration(size, source)
    a = Picture(random.integers(0, 256, (*source, *channels), np.uint8), gap_bytes=3, offset_bytes=1)
    for other in ((), (3,)):
        b = Picture(random.integers(0, 256, (*size, *other), np.uint8))
        expected = np.empty((2, *size), np.float32)
        reference.preprocess(a.pixels, b.pixels, expected, warp)
        planes = preprocessed(engine, a, b, size, half, warp)
        np.testing.assert_allclose(planes, expected, rtol=0, atol=2**-11 if half else 2e-6)


@WARPED_SIZES
def test_raw_thermal_is_warped_on_the_8_bit_scale(
    engine: Any, size: tuple[int, int], source: tuple[int, int]
) -> None:
    random = np.random.default_rng(2)
    raw = random.integers(0, 2**16, source, np.uint16)
    warp, levels = registration(size, source), (5000.0, 60000.0)
    b = Picture(random.integers(0, 2**16, size, np.uint16), levels=(0.0, 65535.0))
    found = preprocessed(engine, Picture(raw, levels=levels), b, size, False, warp)
    # The definition takes whole gray levels only: shares are seen at two that differ by the most.
    zero, one = Picture(np.zeros(source, np.uint8)), Picture(np.full(source, 255, np.uint8))
    share = np.subtract(*(preprocessed(engine, a, b, size, False, warp)[0] for a in (one, zero)))
    places = warp.places_of(np.arange(size[1]), np.arange(size[0])).astype(np.float64)
    shown = sampled(Picture(raw, levels=levels).scaled, np.nan_to_num(places)) / 255
    expected = b.scaled / 255 * (1 - share) + shown * share
    np.testing.assert_allclose(found[0], expected, rtol=0, atol=1e-4)


def sampled(image: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Bilinear samples with the border repeated, in float64."""
    height, width = image.shape
    u, v = np.clip(places[..., 0], 0, width - 1), np.clip(places[..., 1], 0, height - 1)
    x0, y0 = np.floor(u).astype(int), np.floor(v).astype(int)
    x1, y1 = np.minimum(x0 + 1, width - 1), np.minimum(y0 + 1, height - 1)
    above = image[y0, x0] + (u - x0) * (image[y0, x1] - image[y0, x0])
    below = image[y1, x0] + (u - x0) * (image[y1, x1] - image[y1, x0])
    return above + (v - y0) * (below - above)


def finished(
    engine: Any, fused: np.ndarray, a: Picture, b: Picture, chroma: Chroma, state: int, gap_bytes: int = 0
) -> np.ndarray:
    shape = fused.shape if chroma is Chroma.NONE else (*fused.shape, 3)
    row_bytes = shape[1] * (1 if chroma is Chroma.NONE else 3)
    memory = engine.memory(np.full((shape[0], row_bytes + gap_bytes), 77, np.uint8))
    out = engine.CudaImage(memory.pointer, *fused.shape, len(shape) * 2 - 3, row_bytes=row_bytes + gap_bytes)
    plane = engine.memory(fused)
    engine.cuda_postprocess(
        plane.pointer,
        a.on(engine),
        b.on(engine),
        getattr(engine.Chroma, chroma.name),
        state,
        out,
        half=fused.dtype == np.float16,
        stream=0,
    )
    rows = memory.read()
    assert (rows[:, row_bytes:] == 77).all()
    return rows[:, :row_bytes].reshape(shape)


def fused_plane(size: tuple[int, int], dtype: Any = np.float32) -> np.ndarray:
    random = np.random.default_rng(4)
    plane = random.uniform(-0.1, 1.1, size).astype(dtype)
    for value in (np.nan, np.inf, -np.inf, 0.0, 1.0, 6e4, 6e-8):
        plane[random.integers(size[0]), random.integers(size[1])] = value
    return plane


def state_of(engine: Any, fused: np.ndarray) -> Any:
    """A range state that has seen one frame, by its own range."""
    state = engine.memory(np.full(engine.cuda_range_state_bytes(*fused.shape), 0xFF, np.uint8))
    engine.cuda_reset_range(state.pointer, *fused.shape, stream=0)
    plane = engine.memory(fused)
    is_half = fused.dtype == np.float16
    engine.cuda_update_range(
        plane.pointer, *fused.shape, state.pointer, engine.CudaRange.image, half=is_half, stream=0
    )
    engine.synchronize()
    return state


@pytest.mark.parametrize("chroma", Chroma)
@SIZE
def test_postprocess_equals_the_definition(engine: Any, size: tuple[int, int], chroma: Chroma) -> None:
    usual = sources(size)[:7]
    for number, (a, b) in enumerate(zip(usual, reversed(usual), strict=True)):
        fused = fused_plane(size, np.float16 if number % 2 else np.float32)
        wide_values = fused.astype(np.float32)
        own = reference.value_range(wide_values)
        for state in (None, state_of(engine, fused)):
            bounds = own if state is not None and own[0] < own[1] else (0.0, 1.0)
            picture = finished(engine, fused, a, b, chroma, state.pointer if state else 0, 16 * (number % 3))
            expected = np.empty(picture.shape, np.uint8)
            reference.postprocess(wide_values, a.pixels, b.pixels, chroma, *bounds, expected)
            assert np.abs(picture.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("chroma", Chroma)
@SIZE
def test_postprocess_has_the_bits_of_the_native_code(
    engine: Any, size: tuple[int, int], chroma: Chroma
) -> None:
    native = pytest.importorskip("refusion.ops.native", reason="the compiled module is not built")
    fused = fused_plane(size)
    for a, b in [(1, 1), (3, 3), (0, 1), (1, 0), (5, 6)]:
        pair = sources(size)[a], sources(size, seed=1)[b]
        picture = finished(engine, fused, *pair, chroma, 0)
        expected = np.empty(picture.shape, np.uint8)
        native.postprocess(fused, pair[0].pixels, pair[1].pixels, chroma, 0.0, 1.0, expected)
        np.testing.assert_array_equal(picture, expected)


@pytest.mark.parametrize("chroma", [Chroma.A, Chroma.BOTH])
def test_postprocess_takes_colour_through_levels(engine: Any, chroma: Chroma) -> None:
    size = (45, 67)
    random = np.random.default_rng(5)
    a = Picture(random.integers(0, 2**16, (*size, 3), np.uint16), levels=(1000.0, 64000.0))
    b = Picture(random.integers(0, 256, (*size, 3), np.uint8))
    fused = random.uniform(0, 1, size).astype(np.float32)
    picture = finished(engine, fused, a, b, chroma, 0)
    expected = np.empty((*size, 3), np.uint8)
    seen = np.round(a.scaled).astype(np.uint8)
    reference.postprocess(fused, seen, b.pixels, chroma, 0.0, 1.0, expected)
    # The definition takes whole gray levels: half a level, times 1.773 of Cb to blue and the like.
    assert np.abs(picture.astype(int) - expected).max() <= 2


def sequence(size: tuple[int, int], dtype: Any) -> list[np.ndarray]:
    """Frames that drift, flash, cut, hold odd numbers, are flat, or hold no number at all."""
    random = np.random.default_rng(6)
    scene = random.uniform(0.2, 0.5, size)
    frames = [scene + 0.01 * step for step in range(4)]
    frames.append(frames[-1].copy())
    frames[-1].flat[0] = 1.0
    frames += [scene + 0.4, scene + 0.41, np.full(size, 0.3), np.full(size, 0.31)]
    frames += [np.full(size, np.nan), scene, scene + 0.02, np.full(size, 0.5), scene]
    frames[2].flat[-1] = np.inf
    frames[11].flat[0] = np.nan
    return [frame.astype(dtype) for frame in frames]


def state_range(state: Any) -> reference.Stretch | None:
    """The stretch as post-processing takes it, None where it leaves values as they are."""
    raw = state.read()
    stretch = reference.Stretch(*raw[16:40].view(np.float32))
    return stretch if raw[40:44].view(np.uint32)[0] else None


@HALF
@pytest.mark.parametrize("policy", [RangePolicy.image, RangePolicy.tracked])
@pytest.mark.parametrize("size", [(1, 1), (7, 9), (40, 64), (67, 131), (700, 900)])
def test_the_range_follows_as_the_definition(
    engine: Any, size: tuple[int, int], policy: RangePolicy, half: bool
) -> None:
    follower = OutputRange(policy)
    state = engine.memory(np.full(engine.cuda_range_state_bytes(*size), 0xFF, np.uint8))
    engine.cuda_reset_range(state.pointer, *size, stream=0)
    assert state_range(state) is None
    for frame in sequence(size, np.float16 if half else np.float32):
        plane = engine.memory(frame)
        chosen = getattr(engine.CudaRange, policy.name)
        engine.cuda_update_range(plane.pointer, *size, state.pointer, chosen, half=half, stream=0)
        engine.synchronize()
        low, high = follower.of(frame.astype(np.float32)) or (0, 1)
        is_usable = np.float32(low) < np.float32(high)
        expected = reference.stretch_between(low, high, follower.shoulder) if is_usable else None
        assert state_range(state) == expected


def test_the_range_of_values_at_odd_addresses(engine: Any) -> None:
    frame = np.random.default_rng(7).random((33, 57)).astype(np.float32)
    plane, state = (
        engine.memory(frame, 4),
        engine.memory(np.zeros(engine.cuda_range_state_bytes(33, 57), np.uint8)),
    )
    image = engine.CudaRange.image
    engine.cuda_update_range(plane.pointer, 33, 57, state.pointer, image, half=False, stream=0)
    engine.synchronize()
    assert state_range(state) == reference.stretch_between(frame.min(), frame.max(), 0)


@HALF
@pytest.mark.parametrize("offset_values", [0, 1])
def test_the_range_sees_every_value(engine: Any, half: bool, offset_values: int) -> None:
    dtype = np.dtype(np.float16 if half else np.float32)
    size = (3, 9)
    state = engine.memory(np.zeros(engine.cuda_range_state_bytes(*size), np.uint8))
    for place in range(27):
        frame = np.full(size, 0.5, dtype)
        frame.flat[place] = 0.75
        plane = engine.memory(frame, offset_values * dtype.itemsize)
        engine.cuda_update_range(
            plane.pointer, *size, state.pointer, engine.CudaRange.image, half=half, stream=0
        )
        engine.synchronize()
        assert state_range(state) == reference.stretch_between(0.5, 0.75, 0)


def test_aligned_images_go_the_wide_way_and_others_do_not(host_engine: Any) -> None:
    size = (16, 64)
    ways = []
    for picture in sources(size):
        preprocessed(host_engine, picture, picture, size, half=True)
        ways.append(host_engine.wide)
    assert ways == [2, 2, 2, 2, 0, 0, 0, 0, 2, 2, 2, 0, 0]
    for chroma, expected in zip(Chroma, (1, 1, 1, 1), strict=True):
        finished(
            host_engine, fused_plane(size), Picture(sources(size)[1].pixels), sources(size)[3], chroma, 0
        )
        assert host_engine.wide == expected


def test_the_constants_are_those_of_the_definition(host_engine: Any) -> None:
    library = host_engine.library
    for name in host_engine.range_constants:
        assert getattr(library, name)() == getattr(ranges, name.upper())
    assert library.cut_stride() == ranges.CUT_STRIDE


def test_fp16_of_the_host_is_that_of_numpy(host_engine: Any) -> None:
    bits = np.arange(2**16, dtype=np.uint16)
    values = bits.view(np.float16)
    found = np.array([host_engine.library.half_value(int(number)) for number in bits], np.float32)
    np.testing.assert_array_equal(found, values.astype(np.float32))
    random = np.random.default_rng(8)
    floats = np.concatenate((random.integers(0, 2**32, 20000, np.uint32).view(np.float32), found[::7]))
    near = np.nextafter(found[:31743:3], np.float32(np.inf))
    floats = np.concatenate((floats, near, (found[:31742] + found[1:31743]) / 2))
    rounded = np.array([host_engine.library.half_bits(float(value)) for value in floats], np.uint16)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(rounded.view(np.float16), floats.astype(np.float16))
