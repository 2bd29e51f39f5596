"""The compiled module equals the definition, over shapes, layouts in memory, colour and values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from refusion.ops import reference
from refusion.tasks import Chroma
from refusion.warp import Warp

native = pytest.importorskip("refusion.ops.native", reason="the compiled module is not built")
_C = pytest.importorskip("refusion._C", reason="the compiled module is not built")

# The fixture that sets three threads lasts for a whole property, which is what is wanted.
pytestmark = pytest.mark.usefixtures("compiled")
properties = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

LAYOUTS = [
    "contiguous",
    "rows reversed",
    "columns reversed",
    "channels reversed",
    "cropped",
    "every second row",
    "every third column",
    "transposed",
    "planar",
    "one byte off",
]


def laid_out(array: np.ndarray, layout: str) -> np.ndarray:
    """Return an array of the same values that lies differently in memory, and can be written to."""
    height, width, *channels = array.shape
    dtype = array.dtype
    if layout == "rows reversed":
        view = np.empty(array.shape, dtype)[::-1]
    elif layout == "columns reversed":
        view = np.empty(array.shape, dtype)[:, ::-1]
    elif layout == "channels reversed":
        view = np.empty(array.shape, dtype)[..., ::-1] if channels else np.empty(array.shape, dtype)
    elif layout == "cropped":
        view = np.empty((height + 3, width + 5, *channels), dtype)[1:-2, 2:-3]
    elif layout == "every second row":
        view = np.empty((2 * height, width, *channels), dtype)[::2]
    elif layout == "every third column":
        view = np.empty((height, 3 * width, *channels), dtype)[:, ::3]
    elif layout == "transposed":
        view = np.empty((width, height, *channels), dtype).swapaxes(0, 1)
    elif layout == "planar":
        view = np.moveaxis(np.empty((*channels, height, width), dtype), 0, -1) if channels else array.copy()
    elif layout == "one byte off" and dtype == np.uint8:
        view = np.empty(array.size + 1, dtype)[1:].reshape(array.shape)
    else:
        view = np.empty(array.shape, dtype)
    view[...] = array
    return view


# Runs are 1024 pixels long and bands 32 Ki pixels, so sizes on both sides of those matter.
sizes = st.one_of(
    st.tuples(st.integers(1, 12), st.integers(1, 70)),
    st.sampled_from([(1, 1), (1, 1023), (2, 1024), (3, 1025), (1025, 1), (2, 2049), (67, 1031), (4, 1)]),
)
layouts = st.sampled_from(LAYOUTS)


@st.composite
def frames(draw: st.DrawFn, size: tuple[int, int]) -> np.ndarray:
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    kind = draw(st.sampled_from(["gray", "bgr", "pale", "bgr without colour"]))
    if kind == "gray":
        frame = random.integers(0, 256, size, np.uint8)
    elif kind == "bgr without colour":
        frame = np.repeat(random.integers(0, 256, (*size, 1), np.uint8), 3, axis=2)
    elif kind == "pale":  # near neutral, where the merge of chroma divides by little
        frame = (random.integers(0, 250, (*size, 1)) + random.integers(0, 3, (*size, 3))).astype(np.uint8)
    else:
        frame = random.integers(0, 256, (*size, 3), np.uint8)
    return laid_out(frame, draw(layouts))


@st.composite
def pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    size = draw(sizes)
    return draw(frames(size)), draw(frames(size))


@st.composite
def planes(draw: st.DrawFn, size: tuple[int, int]) -> np.ndarray:
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    plane = random.uniform(-0.1, 1.1, size).astype(np.float32)
    unusual = draw(st.lists(st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 1.0, 1e30, 1e-40]), max_size=4))
    for value in unusual:
        plane[random.integers(size[0]), random.integers(size[1])] = value
    return laid_out(plane, draw(layouts))


@properties
@given(pair=pairs(), layout=layouts)
def test_preprocess_equals_the_definition(pair, layout):
    a, b = pair
    size = a.shape[:2]
    expected = np.empty((2, *size), np.float32)
    reference.preprocess(a, b, expected)
    out = np.moveaxis(laid_out(np.full((*size, 2), np.nan, np.float32), layout), -1, 0)
    native.preprocess(a, b, out)
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-6)


@st.composite
def warps(draw: st.DrawFn, size: tuple[int, int], source: tuple[int, int]) -> Warp:
    """Views of all kinds: far off, turned, with a horizon, bent as by a lens, with holes and odd numbers."""
    (height, width), (source_height, source_width) = size, source
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    matrix = np.diag([source_width / width, source_height / height, 1.0])
    matrix[:2, :2] += random.normal(0, draw(st.sampled_from([0, 0.05, 1])), (2, 2)) * source_width / width
    matrix[:2, 2] = random.uniform(-0.6, 0.6, 2) * (source_width, source_height)
    matrix[2, :2] = random.normal(0, draw(st.sampled_from([0, 1e-3, 0.1])), 2)
    even = Warp.of_homography(matrix, size=(width, height), source_size=(source_width, source_height))
    nodes = even.nodes + random.normal(0, draw(st.sampled_from([0, 0.5])), even.nodes.shape)
    for value in draw(st.lists(st.sampled_from([np.nan, np.inf, -np.inf, 3e38, -3e38, -0.5]), max_size=3)):
        nodes.flat[random.integers(nodes.size)] = value
    return Warp(nodes.astype(np.float32), even.size, even.source_size)


@properties
@given(data=st.data(), size=sizes, source=sizes, layout=layouts)
def test_preprocess_through_a_warp_equals_the_definition(data, size, source, layout):
    a, b = data.draw(frames(source)), data.draw(frames(size))
    warp = data.draw(warps(size, source))
    expected = np.empty((2, *size), np.float32)
    reference.preprocess(a, b, expected, warp)
    out = np.moveaxis(laid_out(np.full((*size, 2), np.nan, np.float32), layout), -1, 0)
    native.preprocess(a, b, out, warp)
    np.testing.assert_allclose(out, expected, rtol=0, atol=2e-6)


@properties
@given(data=st.data(), size=sizes, source=sizes)
def test_warped_pictures_equal_the_definition(data, size, source):
    image = data.draw(frames(source))
    warp = data.draw(warps(size, source))
    expected, out = np.full((2, *size, *image.shape[2:]), 77, np.uint8)
    reference.warped(image, warp, expected)
    native.warped(image, warp, out)
    assert np.abs(out.astype(int) - expected).max() <= 1


@properties
@given(
    data=st.data(),
    pair=pairs(),
    chroma=st.sampled_from(Chroma),
    bounds=st.sampled_from(
        [(0.0, 1.0), (0.2, 0.7), (-1.0, 2.0), (0.5, float(np.nextafter(np.float32(0.5), 1)))]
    ),
    shoulder=st.sampled_from([0.0, 10.0, 127.0]),
    layout=layouts,
)
def test_postprocess_equals_the_definition(data, pair, chroma, bounds, shoulder, layout):
    a, b = pair
    fused = data.draw(planes(a.shape[:2]))
    shape = fused.shape if chroma is Chroma.NONE else (*fused.shape, 3)
    expected = np.empty(shape, np.uint8)
    reference.postprocess(fused, a, b, chroma, *bounds, expected, shoulder)
    out = laid_out(np.full(shape, 77, np.uint8), layout)
    native.postprocess(fused, a, b, chroma, *bounds, out, shoulder)
    assert np.abs(out.astype(int) - expected).max() <= 1


@properties
@given(data=st.data(), size=sizes)
def test_value_range_equals_the_definition(data, size):
    fused = data.draw(planes(size))
    assert native.value_range(fused) == reference.value_range(fused)


@properties
@given(data=st.data(), size=sizes)
def test_is_gray_equals_the_definition(data, size):
    frame = data.draw(frames(size))
    assert native.is_gray(frame) == reference.is_gray(frame)


@pytest.mark.parametrize("layout", ["cropped", "every second row", "every third column", "one byte off"])
def test_nothing_is_written_beside_the_output(layout):
    out = laid_out(np.zeros((13, 39, 3), np.uint8), layout)
    canvas = out.base
    canvas[...] = 77
    random = np.random.default_rng(3)
    colour = random.integers(0, 70, (13, 39, 3), np.uint8)
    native.postprocess(np.zeros((13, 39), np.float32), colour, colour, Chroma.A, 0.0, 1.0, out)
    assert (out != 77).any()
    out[...] = 77
    assert (canvas == 77).all()


@pytest.mark.parametrize("chroma", [Chroma.A, Chroma.B, Chroma.BOTH])
def test_a_source_may_be_overwritten(chroma):
    random = np.random.default_rng(4)
    a, b = random.integers(0, 256, (2, 200, 600, 3), np.uint8)
    fused = random.random((200, 600), np.float32)
    expected = np.empty_like(a)
    native.postprocess(fused, a, b, chroma, 0.0, 1.0, expected)
    native.postprocess(fused, a, b, chroma, 0.0, 1.0, b)
    np.testing.assert_array_equal(b, expected)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_number_of_threads_changes_nothing(threads, compiled):
    random = np.random.default_rng(5)
    a, b = random.integers(0, 256, (2, 403, 641, 3), np.uint8)
    fused = random.random((403, 641), np.float32)
    pictures = []
    for count in (3, threads):
        compiled.set_thread_count(count)
        assert compiled.thread_count() == count
        pictures.append(np.empty_like(a))
        native.postprocess(fused, a, b, Chroma.BOTH, 0.1, 0.9, pictures[-1])
    np.testing.assert_array_equal(*pictures)


FRAME = np.zeros((4, 6, 3), np.uint8)
GRAY = np.zeros((4, 6), np.uint8)
PLANE = np.zeros((4, 6), np.float32)
PLANES = np.zeros((2, 4, 6), np.float32)


def read_only(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.flags.writeable = False
    return array


def odd_plane() -> np.ndarray:
    return np.zeros((4, 6), np.dtype([("pad", np.uint8), ("value", np.float32)]))["value"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((FRAME[..., :2], FRAME, PLANES), r"a must be \(H, W\) or \(H, W, 3\), not of shape \(4, 6, 2\)"),
        ((FRAME, FRAME[0, 0], PLANES), r"b must be \(H, W\) or \(H, W, 3\), not of shape \(3,\)"),
        ((FRAME.astype(np.int8), FRAME, PLANES), "a must be uint8, not int8"),
        ((FRAME, FRAME.astype(np.float32), PLANES), "b must be uint8, not float32"),
        (
            (FRAME[:0], FRAME[:0], PLANES),
            r"a must be an image of at least one pixel, not of shape \(0, 6, 3\)",
        ),
        ((FRAME, GRAY[:, :5], PLANES), "b must be of the size of a, 6x4, not 5x4"),
        ((FRAME, GRAY, PLANES[:, :3]), "out must be of the size of a, 6x4, not 6x3"),
        ((FRAME, GRAY, PLANE), r"out must be \(2, H, W\), not of shape \(4, 6\)"),
        ((FRAME, GRAY, PLANES.astype(np.float64)), "out must be float32, not float64"),
        ((FRAME, GRAY, PLANES.astype(">f4")), "out must be float32, not >f4"),
        ((FRAME, GRAY, read_only(PLANES)), "out must be writable, not read-only"),
    ],
)
def test_preprocess_refuses_what_does_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        _C.preprocess(*arguments)


NODES = np.zeros((2, 2, 2), np.float32)
"""Of a warp to 6x4."""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((NODES[..., 0],), r"nodes must be \(rows, columns, 2\), not of shape \(2, 2\)"),
        ((NODES.astype(np.float64),), "nodes must be float32, not float64"),
        ((NODES[:, ::-1],), "nodes must be without gaps, not strided"),
        ((NODES[:1],), "the nodes of a warp to 6x4 must be 2 rows of 2, not 1 of 2"),
    ],
)
def test_nodes_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        _C.preprocess(FRAME, FRAME, PLANES, *arguments)
    with pytest.raises(ValueError, match=message):
        _C.warp_image(FRAME, *arguments, FRAME.copy())


def test_what_is_warped_keeps_its_channels_and_the_output_its_size():
    with pytest.raises(ValueError, match="out must have as many channels as the image, 3, not 1"):
        _C.warp_image(FRAME, NODES, GRAY.copy())
    with pytest.raises(ValueError, match="out must be of the size of b, 6x4, not 6x3"):
        _C.preprocess(FRAME, FRAME, PLANES[:, :3], NODES)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"fused": PLANES}, r"fused must be \(H, W\), not of shape \(2, 4, 6\)"),
        ({"fused": PLANE.astype(np.float16)}, "fused must be float32, not float16"),
        ({"fused": odd_plane()}, "fused must be aligned in memory, not a view at odd addresses; pass a copy"),
        ({"fused": PLANE[:2]}, "a must be of the size of fused, 6x2, not 6x4"),
        ({"b": FRAME[:, :1]}, "b must be of the size of fused, 6x4, not 1x4"),
        ({"out": GRAY.copy()}, r"out must have 3 channel\(s\) for this chroma, not 1"),
        ({"chroma": _C.Chroma.NONE}, r"out must have 1 channel\(s\) for this chroma, not 3"),
        ({"out": read_only(FRAME)}, "out must be writable, not read-only"),
        ({"out": FRAME[:1].copy()}, "out must be of the size of fused, 6x4, not 6x1"),
        ({"high": 0.0}, r"the range must be low < high, both finite, not \(0.000000, 0.000000\)"),
        ({"high": float("inf")}, r"the range must be low < high, both finite, not \(0.000000, inf\)"),
        ({"low": float("nan")}, r"the range must be low < high, both finite, not \(nan, 1.000000\)"),
        ({"shoulder": 0.5}, "the shoulder must have 1 to 127 gray levels, or 0 for none, not 0.500000"),
        ({"shoulder": float("nan")}, "the shoulder must have 1 to 127 gray levels, or 0 for none, not nan"),
    ],
)
def test_postprocess_refuses_what_does_not_fit(changed, message):
    arguments = {
        "fused": PLANE,
        "a": FRAME,
        "b": GRAY,
        "chroma": _C.Chroma.A,
        "low": 0.0,
        "high": 1.0,
        "out": FRAME.copy(),
    }
    with pytest.raises(ValueError, match=message):
        _C.postprocess(**(arguments | changed))


def test_a_list_is_no_array():
    with pytest.raises(TypeError, match="incompatible function arguments"):
        _C.is_gray([[0, 0], [0, 0]])


@pytest.mark.parametrize("count", [0, -1])
def test_there_is_at_least_one_thread(count):
    with pytest.raises(ValueError, match=f"the number of threads must be 1 or more, not {count}"):
        _C.set_thread_count(count)


def test_build_info_tells_how_the_module_was_compiled():
    info = _C.build_info()
    assert set(info) == {"version", "compiler", "cpp_standard", "cuda", "simd"}
    assert info["cpp_standard"] >= 17
    assert isinstance(info["cuda"], str)
    assert info["simd"]


def test_cuda_devices_or_the_reason_why_there_are_none():
    devices, problem = _C.cuda_devices()
    assert bool(devices) is not bool(problem)
    if not _C.build_info()["cuda"]:
        assert (devices, problem) == ([], "compiled without CUDA")
    for device in devices:
        assert device.name
        assert device.major >= 5
        assert device.memory_bytes > 0
