"""Which provider ONNX Runtime runs on. What a CUDA build offers is made up; the CPU's session is real."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from refusion.backends.onnxruntime import CPU_PROVIDER, CUDA_PROVIDER, OnnxRuntimeBackend
from refusion.errors import BackendError, WeightsError
from refusion.gpus import Gpu, GpuReport
from refusion.tasks import Task
from refusion.weights import shipped_weights

ROOT = Path(__file__).parents[2]
PACKAGES = ("refusion", "export", "training", "benchmarks")
MODEL = shipped_weights(Task.ivif).onnx
GPU = Gpu("Fake GPU", (8, 9), 8192, False)


def test_its_telemetry_is_off(tmp_path: Path) -> None:
    code = "from refusion.backends import onnxruntime as o; print(o.load_onnxruntime().__version__)"
    # Its own switches, among them that of continuous integration, are left out.
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**kept, "HOME": str(tmp_path)}, capture_output=True, text=True
    )
    assert done.stdout == f"{onnxruntime.__version__}\n"
    assert list(tmp_path.rglob("*")) == []


def test_nothing_imports_it_past_its_switch() -> None:
    sources = (path for part in PACKAGES for path in (ROOT / part).rglob("*.py") if ".kit" not in path.parts)
    direct = [
        path.relative_to(ROOT).as_posix()
        for path in sources
        if re.search(r"^\s*(import|from) onnxruntime", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert direct == ["refusion/backends/onnxruntime.py"]


class Session:
    """The CPU's session, which says that it runs on CUDA, or cannot."""

    outcome = "works"

    def __init__(self, model: bytes, options: Any, providers: list[str], enable_fallback: int = 1) -> None:
        if providers[0] == CUDA_PROVIDER:
            assert enable_fallback == 0, "it would print to standard output"
            if self.outcome == "raises":
                raise RuntimeError("CUDA failure 35: driver too old\nand more")
        self._session = real_session(model, options, providers=[CPU_PROVIDER])
        self._providers = providers if self.outcome == "works" else [CPU_PROVIDER]

    def get_providers(self) -> list[str]:
        return self._providers

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


real_session = onnxruntime.InferenceSession


@pytest.fixture
def cuda_build(monkeypatch: pytest.MonkeyPatch) -> type[Session]:
    """An ONNX Runtime with the CUDA provider, on a machine with a GPU."""

    class ThisSession(Session):
        pass

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA_PROVIDER, CPU_PROVIDER])
    monkeypatch.setattr(onnxruntime, "InferenceSession", ThisSession)
    monkeypatch.setattr("refusion.gpus.find_gpus", lambda: GpuReport((GPU,), ""))
    return ThisSession


@pytest.mark.parametrize(("device", "text"), [("cpu", "CPU"), ("auto", "CUDA"), ("cuda", "CUDA")])
@pytest.mark.usefixtures("cuda_build")
def test_the_device_is_what_was_asked_for(device: str, text: str) -> None:
    backend = OnnxRuntimeBackend(MODEL, device=device)
    assert backend.description == f"ONNX Runtime {onnxruntime.__version__}, {text}"
    assert backend.run(np.zeros((1, 2, 8, 8), np.float32)).shape == (1, 1, 8, 8)


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [("raises", "CUDA failure 35: driver too old"), ("does not load", "its libraries do not load")],
)
def test_a_cuda_provider_that_fails(
    cuda_build: type[Session], caplog: pytest.LogCaptureFixture, outcome: str, reason: str
) -> None:
    cuda_build.outcome = outcome
    assert OnnxRuntimeBackend(MODEL, device="auto").description.endswith(", CPU")
    (message,) = caplog.messages
    assert message.startswith(f"ONNX Runtime cannot use its CUDA provider and runs on the CPU: {reason}")
    with pytest.raises(BackendError, match=f"cannot use its CUDA provider: {reason}"):
        OnnxRuntimeBackend(MODEL, device="cuda")


@pytest.mark.usefixtures("cuda_build")
def test_a_damaged_model_is_damaged_on_any_device(tmp_path: Any) -> None:
    path = tmp_path / "junk.onnx"
    path.write_bytes(b"junk" * 9)
    for device in ("auto", "cuda"):
        with pytest.raises(WeightsError, match="is not a readable ONNX model"):
            OnnxRuntimeBackend(path, device=device)


@pytest.mark.usefixtures("cuda_build")
def test_auto_does_not_try_without_a_gpu(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("refusion.gpus.find_gpus", lambda: GpuReport((), "no driver"))
    assert OnnxRuntimeBackend(MODEL, device="auto").description.endswith(", CPU")
    assert caplog.messages == []


def test_a_build_without_cuda_says_what_to_install() -> None:
    if CUDA_PROVIDER in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has the CUDA provider")
    with pytest.raises(BackendError, match="no CUDA provider: `pip uninstall onnxruntime`, then `pip"):
        OnnxRuntimeBackend(MODEL, device="cuda")
