"""The public functions: which implementation they use, what they refuse, where they write."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import refusion
from refusion import ops
from refusion.errors import BackendError, InputError, OutputError, UsageError
from refusion.tasks import Chroma

FRAME = np.zeros((4, 6, 3), np.uint8)
GRAY = np.zeros((4, 6), np.uint8)
PLANE = np.zeros((4, 6), np.float32)


@pytest.fixture
def not_compiled(monkeypatch: pytest.MonkeyPatch, fresh_choice: None) -> None:
    """As if the package had been installed without a compiler."""
    monkeypatch.setitem(sys.modules, "refusion._C", None)
    monkeypatch.delattr(refusion, "_C", raising=False)
    monkeypatch.delitem(sys.modules, "refusion.ops.native", raising=False)


def test_the_compiled_module_is_used_where_it_is_installed(compiled, monkeypatch, fresh_choice):
    monkeypatch.delenv("REFUSION_OPS", raising=False)
    assert ops.implementation() == "C++, the compiled module is installed"


@pytest.mark.usefixtures("each_implementation")
def test_the_environment_forces_an_implementation(each_implementation):
    expected = {
        "numpy": "NumPy/OpenCV, as REFUSION_OPS=numpy says",
        "native": "C++, as REFUSION_OPS=native says",
    }
    assert ops.implementation() == expected[each_implementation]


def test_without_the_compiled_module_the_definition_is_used(not_compiled, monkeypatch):
    monkeypatch.delenv("REFUSION_OPS", raising=False)
    assert ops.implementation().startswith("NumPy/OpenCV, slower than C++: ")
    assert ops.implementation().endswith("build it with a C++17 compiler: pip install .")
    assert ops.preprocess(GRAY, FRAME).shape == (2, 4, 6)


def test_forcing_the_compiled_module_where_it_is_missing_is_an_error(not_compiled, monkeypatch):
    monkeypatch.setenv("REFUSION_OPS", "native")
    with pytest.raises(
        BackendError, match=r"the compiled module cannot be loaded .*: pip install \., or unset"
    ):
        ops.preprocess(GRAY, FRAME)


def test_an_unknown_implementation_is_an_error(monkeypatch, fresh_choice):
    monkeypatch.setenv("REFUSION_OPS", "cuda")
    with pytest.raises(UsageError, match="REFUSION_OPS must be native or numpy, or not set; it is 'cuda'"):
        ops.implementation()


def read_only(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.flags.writeable = False
    return array


@pytest.mark.usefixtures("each_implementation")
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ops.preprocess(GRAY[:3], FRAME), InputError, "a is 6x3, b is 6x4"),
        (lambda: ops.preprocess(PLANE, FRAME), InputError, "source a must be uint8"),
        (
            lambda: ops.preprocess(GRAY, FRAME, out=PLANE),
            OutputError,
            r"out must be float32 \(2, 4, 6\), not float32 \(4, 6\)",
        ),
        (lambda: ops.preprocess(GRAY, FRAME, out=[]), OutputError, "out must be a NumPy array, not list"),
        (
            lambda: ops.postprocess([[0.5]], GRAY, GRAY, chroma=Chroma.NONE),
            InputError,
            "fused must be a NumPy array, not list",
        ),
        (
            lambda: ops.postprocess(PLANE.astype(np.float64), GRAY, GRAY, chroma=Chroma.NONE),
            InputError,
            r"fused must be float32 \(H, W\), not float64 \(4, 6\)",
        ),
        (
            lambda: ops.postprocess(PLANE[:, :5], GRAY, GRAY, chroma=Chroma.NONE),
            InputError,
            "fused is 5x4 but its sources are 6x4",
        ),
        (
            lambda: ops.postprocess(PLANE, GRAY, FRAME, chroma=Chroma.B, out=GRAY),
            OutputError,
            r"out must be uint8 \(4, 6, 3\), not uint8 \(4, 6\)",
        ),
        (
            lambda: ops.postprocess(PLANE, GRAY, FRAME, chroma=Chroma.B, out=read_only(FRAME)),
            OutputError,
            "out is read-only",
        ),
        (
            lambda: ops.postprocess(PLANE, GRAY, GRAY, chroma=Chroma.NONE, shoulder=0.5),
            UsageError,
            "shoulder must be 1 to 127 gray levels, or 0 for none, not 0.5",
        ),
        (
            lambda: ops.value_range(PLANE[:0]),
            InputError,
            r"fused must be float32 \(H, W\), not float32 \(0, 6\)",
        ),
        (lambda: ops.is_gray(FRAME[..., :2]), InputError, r"not of shape \(4, 6, 2\)"),
    ],
)
def test_what_does_not_fit_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.usefixtures("each_implementation")
def test_results_are_written_to_out_and_returned():
    planes = np.full((3, 2, 8, 12), np.nan, np.float32)
    assert ops.preprocess(GRAY, FRAME, out=planes[1, :, ::2, ::2]).base is planes
    assert np.count_nonzero(np.isfinite(planes)) == 2 * 4 * 6
    picture = np.full((4, 12, 3), 77, np.uint8)
    half = picture[:, 6:]
    assert ops.postprocess(PLANE, GRAY, FRAME, chroma=Chroma.B, out=half) is half
    assert (half == 0).all()
    assert (picture[:, :6] == 77).all()


@pytest.mark.usefixtures("each_implementation")
def test_a_trailing_axis_of_one_is_a_gray_frame():
    np.testing.assert_array_equal(ops.preprocess(GRAY[..., None], FRAME), ops.preprocess(GRAY, FRAME))
