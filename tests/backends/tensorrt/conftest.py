"""The same scenarios on a fake GPU, which every machine has, and on a real one."""

from __future__ import annotations

import dataclasses
import gc
import hashlib
import importlib.util
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from importlib.metadata import version
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from refusion import _C
from refusion.backends.onnxruntime import OnnxRuntimeBackend
from refusion.backends.tensorrt.device import CudaDevice, cuda_device
from refusion.backends.tensorrt.executor import TensorRTExecutor
from refusion.backends.tensorrt.identity import EngineIdentity, EngineRecord, this_platform
from refusion.backends.tensorrt.library import Flavour, available_flavours
from refusion.backends.tensorrt.loading import LoadedEngine
from refusion.backends.tensorrt.shapes import ShapeProfile
from refusion.backends.tensorrt.sidecar import read_sidecar, sidecar_of, sidecar_text
from refusion.backends.tensorrt.signing import sign
from refusion.executor import CpuExecutor, Executor
from refusion.export.engine import EngineRequest, build_engine
from refusion.tasks import Task
from refusion.timing import StageClock
from refusion.weights import shipped_weights

from .fake_cuda import FakeGpu, create_driver
from .fake_work import CudaOperations, FakeEngine, loaded_engine

PROFILE = ShapeProfile((1, 8, 8), (1, 32, 48), (3, 96, 128))


@dataclass
class Rig:
    """A GPU to test on, real or fake."""

    load: Callable[[], LoadedEngine]
    expected: Executor
    """Fuses on the CPU."""
    gpu: FakeGpu | None
    """None: it is a real one."""

    @property
    def device(self) -> CudaDevice:
        return cuda_device()

    def open(self) -> TensorRTExecutor:
        return TensorRTExecutor(self.load(), StageClock())

    def assert_equal(self, found: np.ndarray, expected: np.ndarray) -> None:
        """Compare frames: on the fake the arithmetic is the CPU's own, but for sums in another order."""
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        difference = np.abs(found.astype(int) - expected.astype(int))
        assert difference.max() <= (1 if self.gpu is not None else 2)
        assert np.mean(difference > 1) <= 0.03


@pytest.fixture(scope="session")
def network() -> OnnxRuntimeBackend:
    """The shipped network on the CPU, on one thread."""
    return OnnxRuntimeBackend(shipped_weights(Task.ivif).onnx, threads=1)


@pytest.fixture
def gpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGpu]:
    """A fake GPU in the place of pycuda and of the CUDA functions of refusion._C."""
    gpu = FakeGpu(**getattr(request, "param", {}))
    driver, package = ModuleType("pycuda.driver"), ModuleType("pycuda")
    vars(driver).update(vars(create_driver(gpu)))
    package.driver = driver  # type: ignore[attr-defined]
    package.__spec__ = ModuleSpec("pycuda", None)
    monkeypatch.setitem(sys.modules, "pycuda", package)
    monkeypatch.setitem(sys.modules, "pycuda.driver", driver)
    # Nothing of the fake may be called when the process ends.
    monkeypatch.setattr(
        "refusion.backends.tensorrt.device.atexit", SimpleNamespace(register=lambda function: None)
    )
    operations = CudaOperations(gpu)
    for name in dir(operations):
        if name.startswith(("cuda_", "Cuda")):
            monkeypatch.setattr(_C, name, getattr(operations, name), raising=False)
    information = _C.build_info()
    monkeypatch.setattr(_C, "build_info", lambda: {**information, "cuda": "13.0"})
    cuda_device.cache_clear()
    yield gpu
    cuda_device.cache_clear()


@pytest.fixture
def engine(gpu: FakeGpu, network: OnnxRuntimeBackend) -> FakeEngine:
    """An engine for the fake GPU."""
    return FakeEngine(gpu, network, PROFILE)


@pytest.fixture(scope="session")
def real_plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An engine of the shipped weights, exported on this machine as a user would, for its GPU.

    $REFUSION_TEST_ONNX names a model that was exported elsewhere, for machines without PyTorch; it is built
    with whichever TensorRT is installed.
    """
    exported = os.environ.get("REFUSION_TEST_ONNX")
    for module in ("pycuda",) if exported else ("pycuda", "tensorrt", "torch", "onnx", "onnxsim"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"an engine needs {module}, which is not installed")
    from refusion.gpus import find_gpus

    found = find_gpus()
    if not found.gpus:
        pytest.skip(f"needs a GPU: {found.problem}")
    if not _C.build_info()["cuda"]:
        pytest.skip("refusion._C was compiled without CUDA")
    folder = tmp_path_factory.mktemp("engines")
    if exported:
        flavours = available_flavours()
        if not flavours:
            pytest.skip("neither TensorRT nor TensorRT-RTX is installed")
        request = EngineRequest(onnx=Path(exported), folder=folder, flavour=flavours[0], profile=PROFILE)
        return build_engine(request, report=print).path
    low, best, high = (f"{height}x{width}" for _, height, width in dataclasses.astuple(PROFILE))
    sizes = ("--min-shape", low, "--opt-shape", best, "--max-shape", high)
    program = "import sys, refusion.cli; sys.argv = ['refusion', *sys.argv[1:]]; refusion.cli.main()"
    command = ("export", "--task", "ivif", "--fp16", *sizes, "--batch", str(PROFILE.maximum[0]))
    subprocess.run([sys.executable, "-c", program, *command, "-o", str(folder)], check=True)
    (plan,) = folder.glob("*.plan")
    return plan


SHAPE = (32, 48)
Shelve = Callable[..., Path]
SCHEDULES = {
    "lazy": {},
    "random": {"schedule": random.Random(0)},
    "integrated": {"is_integrated": True},
    "integrated-random": {"schedule": random.Random(1), "is_integrated": True},
}


@pytest.fixture(params=[*SCHEDULES, pytest.param("real", marks=pytest.mark.gpu)])
def rig(request: pytest.FixtureRequest, network: OnnxRuntimeBackend) -> Rig:
    """Each kind of GPU in turn."""
    expected = CpuExecutor(network, StageClock())
    if request.param == "real":
        from refusion.backends.tensorrt.loading import load_engine

        plan = request.getfixturevalue("real_plan")
        return Rig(lambda: load_engine(plan), expected, None)
    gpu: FakeGpu = request.getfixturevalue("gpu")
    for name, value in SCHEDULES[request.param].items():
        setattr(gpu, name, value)
    engine: FakeEngine = request.getfixturevalue("engine")
    return Rig(lambda: loaded_engine(engine), expected, gpu)


@pytest.fixture
def rig_lazy(engine: FakeEngine, network: OnnxRuntimeBackend) -> Rig:
    """The fake whose streams do nothing that is not waited for."""
    return Rig(lambda: loaded_engine(engine), CpuExecutor(network, StageClock()), engine.gpu)


@pytest.fixture
def executor(rig: Rig) -> Iterator[TensorRTExecutor]:
    """An executor, closed after; on the fake, closing must leave nothing behind."""
    executor = rig.open()
    yield executor
    assert "without CUDA graphs" not in executor.description
    executor.close()
    if rig.gpu is not None:
        gc.collect()
        assert rig.gpu.memory == {}
        assert rig.gpu.page_locked == []
        assert rig.gpu.complaints == []
        assert rig.gpu.stack == []


def checkpoint(task: Task = Task.ivif) -> str:
    return str(shipped_weights(task).manifest["files"]["safetensors"]["sha256"])


@pytest.fixture
def shelve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpu: FakeGpu, network: OnnxRuntimeBackend
) -> Shelve:
    """Put an engine into ./engines; what it becomes when loaded runs on the fake GPU."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("REFUSION_ENGINES", raising=False)
    (tmp_path / "engines").mkdir()

    def shelve(
        name: str = "one",
        *,
        profile: ShapeProfile | None = None,
        is_signed: bool = True,
        folder: Path = Path("engines"),
        **changes: object,
    ) -> Path:
        identity = EngineIdentity(
            task="ivif",
            model="full",
            precision="fp16",
            checkpoint_sha256=checkpoint(),
            onnx_sha256="0" * 64,
            flavour=Flavour.tensorrt_rtx,
            tensorrt_version=version("tensorrt-rtx"),
            platform=this_platform(),
            gpu_name="",
            compute_capability="sm89",
            profile=profile or ShapeProfile.fixed(1, *SHAPE),
            workspace_mib=None,
            optimization_level=None,
            is_tf32_allowed=False,
        )
        record = EngineRecord(
            identity=dataclasses.replace(identity, **changes),  # type: ignore[arg-type]
            plan_sha256=hashlib.sha256(b"plan").hexdigest(),
            plan_bytes=4,
            onnx_file="model.onnx",
            accuracy={},
            verification={},
            refusion_version="0",
            built_at="2026-01-01T00:00:00+00:00",
            build_seconds=1.0,
        )
        plan = folder / f"{name}.plan"
        plan.write_bytes(b"plan")
        sidecar_of(plan).write_text(sidecar_text(sign(record) if is_signed else record))
        return plan

    def load(plan: Path, **_: object) -> LoadedEngine:
        record = read_sidecar(plan)
        assert record is not None
        engine = FakeEngine(gpu, network, record.identity.profile)
        return dataclasses.replace(loaded_engine(engine), path=plan)

    for loader in ("opening", "loading"):
        monkeypatch.setattr(f"refusion.backends.tensorrt.{loader}.load_engine", load)
    return shelve
