"""What is compared; the baselines compute the network that ours do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_onnx import write_tiny_onnx

from refusion.benchmarks.latency import baselines
from refusion.benchmarks.latency.baselines import OfficialNetwork, compiling_anew, export_naively
from refusion.benchmarks.latency.contenders import DEVICES, Contender, Weights, contenders
from refusion.benchmarks.latency.precisions import Precision
from refusion.benchmarks.latency.probe import ProbeRequest, probe
from refusion.benchmarks.latency.run import stated_contender
from refusion.errors import BackendError, UsageError
from refusion.models import Model
from refusion.tasks import Task

FULL = Weights.shipped(Task.ivif, Model.full)


def test_baselines_compute_the_network_that_is_shipped(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("onnx", reason="onnx is not installed")
    size = 24, 16
    weights = export_naively(FULL, tmp_path / "naive.onnx", size=size, batch=2)
    sources = np.random.default_rng(2).random((2, 2, 16, 24), np.float32)
    official, naive, ours = (
        Contender(Model.full, one).open(weights, size=size, batch=2)
        for one in ("official", "naive_onnx", "onnxruntime")
    )
    expected = official.run(sources)
    for other in (naive, ours):
        np.testing.assert_allclose(other.run(sources), expected, atol=2e-6)
    with pytest.raises(BackendError, match="ONNX Runtime could not run it: "):
        naive.run(sources[:, :, :8].copy())


def test_a_network_is_compiled_when_it_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    compiled_for: list[tuple[int, ...]] = []

    def compiler(graph: Any, inputs: Any) -> Any:
        compiled_for.extend(tuple(value.shape) for value in inputs if value.ndim == 4)
        return graph

    # A small network, and no C++: the real ones take half a minute.
    monkeypatch.setattr(baselines, "_official_module", lambda checkpoint: torch.nn.Softmax(dim=1))
    monkeypatch.setattr(baselines, "COMPILER", compiler)
    backend = Contender(Model.full, "compiled").open(FULL, size=(24, 16), batch=2)
    assert compiled_for == [(2, 2, 16, 24)]
    sources = np.random.default_rng(2).random((2, 2, 16, 24), np.float32)
    np.testing.assert_allclose(backend.run(sources).sum(axis=1), 1, atol=1e-6)
    assert len(compiled_for) == 1
    assert "torch.compile, CPU" in backend.description


def test_nothing_is_compiled_without_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(BackendError, match=r"torch.compile needs a C\+\+ compiler, and there is no"):
        Contender(Model.full, "compiled").open(FULL, size=(24, 16))


@pytest.mark.parametrize("before", [None, "elsewhere"])
def test_what_was_compiled_before_is_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    name = "TORCHINDUCTOR_CACHE_DIR"
    if before is None:
        monkeypatch.delenv(name, raising=False)
    else:
        monkeypatch.setenv(name, before)
    with compiling_anew(tmp_path):
        assert os.environ[name] == str(tmp_path)
    assert os.environ.get(name) == before


def test_baselines_say_that_they_cannot_use_a_gpu(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    if torch.cuda.is_available():
        pytest.skip("they can")
    assert FULL.safetensors is not None
    with pytest.raises(BackendError, match=r"this PyTorch \(.*\) cannot use a GPU"):
        OfficialNetwork(FULL.safetensors, device="cuda")
    with pytest.raises(BackendError, match=r"this ONNX Runtime \(.*\) has no CUDA provider"):
        baselines.NaiveOnnx(tmp_path / "naive.onnx", device="cuda")


def test_baselines_come_first_and_with_the_full_network_alone() -> None:
    chosen = contenders([Model.full, Model.lite], ["torch"], with_baselines=True)
    assert [one.title for one in chosen] == [
        "official, PyTorch eager",
        "official, torch.compile",
        "official, naive ONNX",
        "full, torch",
        "lite, torch",
    ]
    assert [one.title for one in contenders([Model.lite], ["torch"], with_baselines=True)] == ["lite, torch"]
    with pytest.raises(UsageError, match="there is no backend 'tpu'; choose one of native, "):
        contenders([Model.full], ["tpu"], with_baselines=True)


def test_what_runs_on_a_gpu_too() -> None:
    chosen = contenders([Model.full], None, with_baselines=True, devices=DEVICES)
    on_gpu = [one.title for one in chosen if one.device == "cuda"]
    assert on_gpu == [
        "official, PyTorch eager, CUDA",
        "official, torch.compile, CUDA",
        "official, naive ONNX, CUDA",
        "full, onnxruntime, CUDA",
        "full, tensorrt fp16",
        "full, tensorrt fp32",
    ]
    assert not {"tensorrt", "triton"} & {
        one.runner for one in contenders([Model.full], None, with_baselines=True)
    }
    # A backend that is asked for is there to say why it cannot run.
    (asked,) = contenders(
        [Model.lite], ["tensorrt"], with_baselines=True, devices=["cpu"], precisions=[Precision.fp16]
    )
    assert asked.title == "lite, tensorrt fp16"


def test_precisions_choose() -> None:
    chosen = contenders([Model.full], None, with_baselines=True, precisions=[Precision.bf16])
    assert [one.title for one in chosen] == ["full, native-bf16"]
    with pytest.raises(UsageError, match="none of these backends runs in fp16"):
        contenders([Model.full], ["native"], with_baselines=True, precisions=[Precision.fp16])


def test_a_file_of_weights_says_its_precision(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed")
    model = write_tiny_onnx(tmp_path / "m.onnx", precision="fp16")
    as_stated = stated_contender(Contender(Model.full, "onnxruntime"), Weights.of_file(model))
    assert as_stated.precision is Precision.fp16
    assert stated_contender(Contender(Model.full, "native"), FULL).precision is Precision.fp32


def test_a_probe_says_why_it_cannot_run(tmp_path: Path) -> None:
    contender = Contender(Model.full, "onnxruntime")
    with pytest.raises(BackendError, match="there is no model .*gone.onnx"):
        probe(ProbeRequest(contender, Weights(None, tmp_path / "gone.onnx"), (8, 8)))
    with pytest.raises(BackendError, match="TensorRT"):
        probe(ProbeRequest(Contender(Model.full, "tensorrt", "cuda"), FULL, (8, 8)))
    with pytest.raises(UsageError, match=r"the onnxruntime backend reads .onnx files, and none was given"):
        contender.open(Weights(FULL.safetensors, None), size=(8, 8))
