"""Which engine a Fuser takes, and what it does where none fits; on the fake GPU of this folder.

The folder of engines, the records and the signatures are real, and so is the search; only what a plan becomes
when it is loaded is a fake, because nothing here can load one.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from refusion import _C, BackendError, Fuser, UsageError
from refusion.backends.tensorrt.loading import LoadedEngine
from refusion.backends.tensorrt.shapes import ShapeProfile
from refusion.tasks import Task
from refusion.warp import Warp
from refusion.weights import sha256, shipped_weights

from .conftest import SHAPE, Shelve, checkpoint
from .fake_cuda import FakeGpu

pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed")

RANDOM = np.random.default_rng(0)
A, B = RANDOM.integers(0, 256, SHAPE, np.uint8), RANDOM.integers(0, 256, (*SHAPE, 3), np.uint8)


def expected(*pair: np.ndarray) -> np.ndarray:
    """Return what an engine makes of the pair: the fake one's network is in ONNX Runtime."""
    return Fuser("ivif", backend="onnxruntime", device="cpu", threads=1)(*pair)


def on_the_cpu(*pair: np.ndarray) -> np.ndarray:
    return Fuser("ivif", device="cpu")(*pair)


@pytest.mark.parametrize("backend", ["auto", "tensorrt"])
def test_an_engine_that_fits_is_taken(shelve: Shelve, backend: str) -> None:
    shelve()
    with Fuser("ivif", backend=backend) as fuser:
        np.testing.assert_array_equal(fuser(A, B), expected(A, B))
        assert re.match(r"TensorRT .*, Fake GPU, one\.plan; .*processing: CUDA", fuser.description)
        assert fuser.weights == shipped_weights(Task.ivif).safetensors


def test_a_stream_through_the_fuser(shelve: Shelve) -> None:
    shelve()
    pairs = [(A // 2 + index, B) for index in range(6)]
    with Fuser("ivif") as fuser, Fuser("ivif", device="cpu") as reference:
        found = list(fuser.stream().frames(pairs))
        for frame, other in zip(found, reference.stream().frames(pairs), strict=True):
            assert np.abs(frame.astype(int) - other).max() <= 1
        assert {"submit", "wait"} <= fuser.clock.median_ms().keys()


def test_auto_runs_other_sizes_elsewhere_and_says_so_once(
    shelve: Shelve, caplog: pytest.LogCaptureFixture
) -> None:
    shelve()
    small = (A[:16, :16], B[:16, :16])
    with Fuser("ivif", threads=1) as fuser:
        fuser(A, B)
        assert caplog.messages == []
        for _ in range(2):
            np.testing.assert_array_equal(fuser(*small), on_the_cpu(*small))
        (message,) = caplog.messages
        assert re.fullmatch(
            r"no engine in engines fits ivif at 16x16 \(one\.plan: it takes 1x32x48\); `refusion export "
            r"--task ivif --fp16 --shape 16x16` builds one; running on .*, CPU; .*",
            message,
        )
        assert "one.plan" in fuser.description
        assert ", CPU" in fuser.description


def test_tensorrt_refuses_other_sizes(shelve: Shelve) -> None:
    shelve()
    with (
        Fuser("ivif", backend="tensorrt") as fuser,
        pytest.raises(BackendError, match=r"ivif at 16x16 \(one\.plan: it takes 1x32x48\); `refusion export"),
    ):
        fuser(A[:16, :16], B[:16, :16])


def test_each_size_gets_its_engine(shelve: Shelve) -> None:
    shelve("small", profile=ShapeProfile.fixed(1, 16, 16))
    shelve("large")
    with Fuser("ivif", backend="tensorrt") as fuser:
        fuser(A, B)
        fuser(A[:16, :16], B[:16, :16])
        assert {"large.plan", "small.plan"} <= set(re.findall(r"\w+\.plan", fuser.description))


def test_through_a_warp_the_engine_is_that_of_the_output(shelve: Shelve) -> None:
    shelve("source", profile=ShapeProfile.fixed(1, 12, 16))
    shelve("output")
    warp = Warp.of(lambda pixels: pixels / 3, size=SHAPE[::-1], source_size=(16, 12))
    small = np.ascontiguousarray(A[:12, :16])
    with (
        Fuser("ivif", backend="tensorrt") as fuser,
        Fuser("ivif", backend="onnxruntime", device="cpu", threads=1) as reference,
    ):
        np.testing.assert_array_equal(fuser(small, B, warp=warp), reference(small, B, warp=warp))
        np.testing.assert_array_equal(fuser.luma(small, B, warp=warp), reference.luma(small, B, warp=warp))
        assert re.findall(r"\w+\.plan", fuser.description) == ["output.plan"]


def test_more_pairs_than_the_engine_takes_at_a_time(shelve: Shelve) -> None:
    shelve()
    with Fuser("ivif", backend="tensorrt") as fuser:
        frames = fuser.batch([(A, B), (B, A), (A, A)])
    for frame, pair in zip(frames, [(A, B), (B, A), (A, A)], strict=True):
        np.testing.assert_array_equal(frame, expected(*pair))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"is_signed": False}, "it is foreign: another user or machine built it (--trust loads it)"),
        ({"compute_capability": "sm86"}, "it was built for sm86, Fake GPU is sm89"),
        ({"checkpoint_sha256": "1" * 64}, "it is of other weights"),
        ({"task": "mif"}, "it is for mif, full"),
        ({"tensorrt_version": "1.0"}, "it was built by TensorRT-RTX 1.0, "),
        ({"platform": "linux-riscv64"}, "it was built on linux-riscv64, this is "),
    ],
)
def test_engines_that_do_not_fit(
    shelve: Shelve, caplog: pytest.LogCaptureFixture, changes: dict[str, object], reason: str
) -> None:
    shelve(**changes)
    with Fuser("ivif") as fuser:
        assert ", CPU" in fuser.description
    # No engine of these weights can run here at all, so none is missed.
    assert caplog.messages == []
    with pytest.raises(BackendError, match=re.escape(f"no engine in engines fits ivif (one.plan: {reason}")):
        Fuser("ivif", backend="tensorrt")


def test_trust_takes_foreign_engines(shelve: Shelve) -> None:
    shelve(is_signed=False)
    with Fuser("ivif", backend="tensorrt", trust=True) as fuser:
        assert fuser(A, B).shape == B.shape


def test_folders_may_be_named(shelve: Shelve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
    shelve(folder=Path("y"))
    with pytest.raises(BackendError, match=r"in engines fits ivif \(it holds none\); `refusion export"):
        Fuser("ivif", backend="tensorrt")
    with pytest.raises(BackendError, match="no engine in x fits ivif"):
        Fuser("ivif", backend="tensorrt", engines="x")
    Fuser("ivif", backend="tensorrt", engines=["x", tmp_path / "y"]).close()
    monkeypatch.setenv("REFUSION_ENGINES", "x:y")
    Fuser("ivif", backend="tensorrt").close()


def test_weights_of_the_user(shelve: Shelve, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    own = tmp_path / "own.safetensors"
    own.write_bytes(shipped_weights(Task.mif).safetensors.read_bytes())
    shelve(checkpoint_sha256=checkpoint(Task.mif))
    with Fuser("ivif", weights=own) as fuser:
        fuser(A, B)
        assert "one.plan" in fuser.description


def test_engines_of_the_lite_network(shelve: Shelve, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    from refusion.models.checkpoints import save_network
    from refusion.models.lite import LiteModule

    own = tmp_path / "lite.safetensors"
    save_network(LiteModule(), own, task="ivif")
    plan = shelve(checkpoint_sha256=sha256(own), model="lite")
    for model in (None, "lite"):
        with Fuser(weights=own, model=model, backend="tensorrt") as fuser:
            fuser(A, B)
            assert "one.plan" in fuser.description
    with pytest.raises(BackendError, match=r"takes .*; `refusion export --task ivif --model lite --fp16 "):
        Fuser(weights=own, backend="tensorrt")(A[:8], B[:8])
    with pytest.raises(UsageError, match="one.plan holds the lite model, not full"):
        Fuser(weights=plan, model="full")


def test_an_onnx_states_what_it_was_made_from(shelve: Shelve, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    model = onnx.load(shipped_weights(Task.ivif).onnx)
    onnx.helper.set_model_props(
        model,
        {entry.key: entry.value for entry in model.metadata_props} | {"refusion.checkpoint_sha256": "2" * 64},
    )
    onnx.save(model, tmp_path / "own.onnx")
    shelve(checkpoint_sha256="2" * 64)
    with Fuser("ivif", weights=tmp_path / "own.onnx", backend="tensorrt") as fuser:
        np.testing.assert_array_equal(fuser(A, B), expected(A, B))


def test_a_plan_by_name(shelve: Shelve) -> None:
    plan = shelve(checkpoint_sha256="3" * 64)
    with Fuser("ivif", weights=plan) as fuser:
        np.testing.assert_array_equal(fuser(A, B), expected(A, B))
        assert fuser.weights == plan


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"weights": "one.plan", "device": "cpu"},
            "TensorRT runs on GPUs only: choose the device",
        ),
        (
            {"backend": "tensorrt", "device": "cpu"},
            "TensorRT runs on GPUs only: choose the device",
        ),
        ({"weights": "one.plan", "backend": "onnxruntime"}, "one.plan is a TensorRT engine; the onnxruntime"),
        ({"device": "tpu"}, "there is no device 'tpu'; choose one of auto, cpu, cuda"),
    ],
)
def test_what_does_not_go_together(options: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        Fuser(**options)  # type: ignore[arg-type]


def test_an_engine_that_does_not_load(
    shelve: Shelve, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelve()

    def fail(plan: Path, **_: object) -> LoadedEngine:
        raise BackendError(f"{plan} is damaged")

    monkeypatch.setattr("refusion.backends.tensorrt.opening.load_engine", fail)
    with Fuser("ivif", threads=1) as fuser:
        np.testing.assert_array_equal(fuser(A, B), on_the_cpu(A, B))
        assert re.match(r"engines/one\.plan is damaged; running on .*, CPU", caplog.messages[0])
    with (
        Fuser("ivif", backend="tensorrt") as fuser,
        pytest.raises(BackendError, match=r"engines/one\.plan is damaged"),
    ):
        fuser(A, B)


def test_the_device_cuda_needs_no_onnxruntime_for_a_size_that_fits(shelve: Shelve) -> None:
    shelve()
    with Fuser("ivif", device="cuda") as fuser:
        np.testing.assert_array_equal(fuser(A, B), expected(A, B))
        with pytest.raises(BackendError, match="fits ivif at 16x16"):
            fuser(A[:16, :16], B[:16, :16])


def test_without_cuda_operations_the_network_alone_runs_on_the_gpu(
    shelve: Shelve, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelve(profile=ShapeProfile((1, 16, 16), (1, 32, 48), (2, 32, 48)))
    information = _C.build_info()
    monkeypatch.setattr(_C, "build_info", lambda: {**information, "cuda": ""})
    with Fuser("ivif", backend="tensorrt") as fuser:
        for pair in [(A, B), (A[:16, :16], B[:16, :16]), (A, B)]:
            np.testing.assert_array_equal(fuser(*pair), expected(*pair))
        assert re.fullmatch(r"TensorRT .*, Fake GPU; pre- and post-processing: C\+\+.*", fuser.description)
    with pytest.raises(BackendError, match="the fuser is closed"):
        fuser(A, B)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            ModuleNotFoundError("No module named 'pycuda'"),
            "pycuda, which is not installed: pip install pycuda",
        ),
        (
            ImportError("libcuda.so.1: cannot open shared object file"),
            "pycuda is installed but finds no NVIDIA driver (libcuda.so.1: cannot open shared object file)",
        ),
    ],
)
def test_without_pycuda_or_a_driver(
    shelve: Shelve, monkeypatch: pytest.MonkeyPatch, error: ImportError, message: str
) -> None:
    class Refusing:
        def find_spec(self, name: str, *_: object) -> None:
            if name.startswith("pycuda"):
                raise error

    shelve()
    monkeypatch.delitem(sys.modules, "pycuda.driver")
    monkeypatch.delitem(sys.modules, "pycuda")
    monkeypatch.setattr(sys, "meta_path", [Refusing(), *sys.meta_path])
    with pytest.raises(BackendError, match=re.escape(message)):
        Fuser("ivif", backend="tensorrt")


def test_cuda_that_cannot_start(shelve: Shelve, monkeypatch: pytest.MonkeyPatch) -> None:
    def init() -> None:
        raise sys.modules["pycuda.driver"].LogicError("no CUDA-capable device is detected")

    shelve()
    monkeypatch.setattr(sys.modules["pycuda.driver"], "init", init)
    with pytest.raises(BackendError, match="CUDA cannot start: no CUDA-capable device is detected"):
        Fuser("ivif", backend="tensorrt")


@pytest.mark.usefixtures("shelve")
def test_nothing_lives_on_when_the_process_ends(gpu: FakeGpu, shelve: Shelve) -> None:
    from refusion.backends.tensorrt.device import cuda_device

    shelve()
    fuser = Fuser("ivif")
    fuser(A, B)
    assert gpu.memory
    cuda_device().shut_down()
    assert gpu.memory == {}
    assert gpu.stack == []
    fuser.close()
