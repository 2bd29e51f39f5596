"""The native engine against PyTorch: any size, instruction set and number of threads."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from refusion import BackendError, Fuser, InputError, UsageError, WeightsError
from refusion.backends import choose_backend, native
from refusion.files import read_image
from refusion.tasks import Task
from refusion.weights import shipped_weights

if not native.is_built():
    pytest.skip("the compiled module is not built", allow_module_level=True)

from refusion import _C

MOST_ERROR = 1e-5
# One pixel; about one vector, one strip (96 columns), one band (16 rows); several of them.
SIZES = [
    (1, 1), (1, 2), (2, 1), (3, 3), (1, 130), (130, 1),
    (15, 17), (16, 96), (17, 97), (31, 95), (33, 193), (97, 300),
]  # fmt: skip


def sources(height: int, width: int, count: int = 1, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random((count, 2, height, width), np.float32)


def weights(task: Task = Task.ivif) -> Path:
    return shipped_weights(task).safetensors


@pytest.fixture(scope="module")
def expected():
    """Return the PyTorch backend of the ivif weights as a function."""
    pytest.importorskip("torch", reason="torch is not installed")
    from refusion.backends.torch import TorchBackend

    return TorchBackend(weights()).run


@pytest.mark.parametrize("instruction_set", _C.instruction_sets())
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[1]}x{size[0]}")
def test_every_size_is_pytorchs(expected, instruction_set: str, size: tuple[int, int]) -> None:
    engine = native.NativeBackend(weights(), instruction_set=instruction_set)
    pair = sources(*size)
    assert np.abs(engine.run(pair) - expected(pair)).max() <= MOST_ERROR


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_flat_pictures_are_pytorchs(expected, level: float) -> None:
    pair = np.full((1, 2, 40, 70), level, np.float32)
    assert np.abs(native.NativeBackend(weights()).run(pair) - expected(pair)).max() <= MOST_ERROR


@pytest.mark.parametrize("task", list(Task), ids=lambda task: task.name)
def test_every_task_is_as_in_onnxruntime(task: Task) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    from refusion.backends.onnxruntime import OnnxRuntimeBackend

    pair = sources(70, 90)
    onnx = OnnxRuntimeBackend(shipped_weights(task).onnx).run(pair)
    assert np.abs(native.NativeBackend(weights(task)).run(pair) - onnx).max() <= MOST_ERROR


def test_the_bits_do_not_depend_on_threads() -> None:
    pair = sources(210, 150)
    results = [native.NativeBackend(weights(), threads=threads).run(pair) for threads in (1, 2, 3, 5)]
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


def test_a_batch_is_its_pairs_one_by_one() -> None:
    engine = native.NativeBackend(weights())
    pairs = sources(33, 70, count=3)
    for pair, fused in zip(pairs, engine.run(pairs), strict=True):
        np.testing.assert_array_equal(engine.run(pair[None])[0], fused)


def test_sizes_may_change_from_call_to_call() -> None:
    engine = native.NativeBackend(weights())
    first = engine.run(sources(90, 80))
    for size in ((20, 30), (180, 200), (5, 5)):
        engine.run(sources(*size, seed=1))
    np.testing.assert_array_equal(engine.run(sources(90, 80)), first)


def test_several_threads_share_one_engine() -> None:
    engine = native.NativeBackend(weights())
    pairs = [sources(40 + 3 * seed, 60, seed=seed) for seed in range(12)]
    expected = [engine.run(pair) for pair in pairs]
    with ThreadPoolExecutor(4) as executor:
        for fused, alone in zip(executor.map(engine.run, pairs), expected, strict=True):
            np.testing.assert_array_equal(fused, alone)


def test_strided_sources_are_read_as_they_are() -> None:
    engine = native.NativeBackend(weights())
    pair = sources(60, 80)[:, :, ::2, ::-1]
    np.testing.assert_array_equal(engine.run(pair), engine.run(np.ascontiguousarray(pair)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_fuses() -> None:
    code = """
        import os, numpy as np
        from refusion.backends.native import NativeBackend
        from refusion.tasks import Task
        from refusion.weights import shipped_weights
        engine = NativeBackend(shipped_weights(Task.ivif).safetensors, threads=2)
        pair = np.random.default_rng(0).random((1, 2, 100, 100), np.float32)
        expected = engine.run(pair)
        child = os.fork()
        if child == 0:
            os._exit(0 if np.array_equal(engine.run(pair), expected) else 1)
        raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_4k_frame_needs_less_than_2_gb() -> None:
    code = """
        import resource, numpy as np, refusion
        random = np.random.default_rng(0)
        infrared = random.integers(0, 256, (2160, 3840), np.uint8)
        visible = random.integers(0, 256, (2160, 3840, 3), np.uint8)
        with refusion.Fuser("ivif", backend="native", device="cpu") as fuser:
            fuser(infrared, visible)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 2000  # MiB; 1013 of them are the feature map


def test_auto_is_native_on_a_cpu() -> None:
    with Fuser("ivif", device="cpu") as fuser:
        assert fuser.description.startswith("native C++")
        assert fuser.weights == weights()


def test_official_checkpoints_run_natively(shared: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    official = shared / "reference" / "weights" / "ReFusion_IVIF.pth"
    pair = sources(30, 40)
    from refusion.backends.torch import TorchBackend

    engine = native.NativeBackend(official)
    assert np.abs(engine.run(pair) - TorchBackend(official).run(pair)).max() <= MOST_ERROR


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no checkpoint .*none\.safetensors"):
        native.NativeBackend(tmp_path / "none.safetensors")


def test_junk_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "junk.safetensors"
    path.write_bytes(b"junk" * 100)
    with pytest.raises(WeightsError, match="is not a readable safetensors file"):
        native.NativeBackend(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors.pop("head.weight"), "the tensor head.weight is missing"),
        (
            lambda tensors: tensors.update({"head.weight": np.zeros((16, 32, 1, 3), np.float32)}),
            r"the tensor head.weight is \(16, 32, 1, 3\), not \(16, 32, 3, 3\)",
        ),
        (
            lambda tensors: tensors.update({"more": np.zeros(1, np.float32)}),
            "the tensor more is not of this network",
        ),
        (
            lambda tensors: tensors["output.weight"].fill(np.nan),
            "output.weight has values that are NaN or infinite",
        ),
        (
            lambda tensors: tensors.update({"head.weight": np.zeros((16, 32, 3, 3), np.int32)}),
            "holds head.weight as int32; the native engine reads float16 to 64",
        ),
    ],
    ids=["missing", "shape", "unknown", "nan", "int"],
)
def test_other_networks_are_refused(tmp_path: Path, change, message: str) -> None:
    tensors = load_file(weights())
    change(tensors)
    save_file(tensors, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match=message):
        native.NativeBackend(tmp_path / "other.safetensors")


def test_an_unknown_instruction_set_is_refused() -> None:
    with pytest.raises(BackendError, match="this machine has no instruction set 'mmx'; it has .*"):
        native.NativeBackend(weights(), instruction_set="mmx")


def test_no_gpu_is_promised() -> None:
    with pytest.raises(BackendError, match="the native backend runs on the CPU only"):
        Fuser("ivif", backend="native", device="cuda")


@pytest.mark.parametrize("task", list(Task), ids=lambda task: task.name)
def test_bfloat16_is_within_a_gray_level(shared: Path, task: Task) -> None:
    if not native.has_bfloat16():
        pytest.skip("this processor has no AVX-512 BF16")
    sources_a = shared / "reference" / "cases" / task.name.upper() / "source1"
    a_path = min(sources_a.iterdir())
    b_path = min((sources_a.parent / "source2").iterdir())
    a, b = read_image(a_path)[:256, :256], read_image(b_path)[:256, :256]
    fast = Fuser(task, backend="native-bf16", device="cpu").luma(a, b)
    exact = Fuser(task, backend="native", device="cpu").luma(a, b)
    assert 0 < np.abs(fast - exact).max() < 0.005
    assert np.abs(np.round(255 * fast) - np.round(255 * exact)).max() <= 1


def test_auto_never_takes_bfloat16() -> None:
    assert choose_backend("auto", weights()) == "native"


def test_the_lite_model_has_no_bfloat16_form(tmp_path: Path) -> None:
    if not native.has_bfloat16():
        pytest.skip("this processor has no AVX-512 BF16")
    tensors = load_file(weights())
    save_file(tensors, tmp_path / "lite.safetensors", metadata={"architecture": "refusion-lite"})
    with pytest.raises(UsageError, match="the lite model has no bfloat16 form; use the backend native"):
        native.NativeBackend(tmp_path / "lite.safetensors", instruction_set=native.BFLOAT16)
