from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from refusion import BackendError, Fuser, WeightsError
from refusion.backends import capabilities, create_backend
from refusion.tasks import Task
from refusion.weights import shipped_weights


def test_onnxruntime_and_torch_agree() -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    random = np.random.default_rng(0)
    a, b = random.integers(0, 256, (2, 45, 67), np.uint8)
    onnx, torch = Fuser("ivif", backend="onnxruntime"), Fuser("ivif", backend="torch")
    assert np.abs(onnx.luma(a, b) - torch.luma(a, b)).max() < 1e-4
    assert "PyTorch" in torch.description


def test_every_backend_reports() -> None:
    report = {capability.name: capability for capability in capabilities()}
    assert report["onnxruntime"].available
    assert set(report) == {"native", "native-bf16", "onnxruntime", "tensorrt", "torch", "triton"}
    assert report["onnxruntime"].detail.startswith("onnxruntime")


@pytest.mark.parametrize("content", [b"", b"junk" * 100])
def test_junk_is_no_model(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "junk.onnx"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="is not a readable ONNX model"):
        create_backend("auto", path)


def test_a_truncated_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.onnx"
    path.write_bytes(shipped_weights(Task.ivif).onnx.read_bytes()[:-5000])
    with pytest.raises(WeightsError, match="is not a readable ONNX model"):
        create_backend("auto", path)


def test_a_foreign_model_is_refused(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    tensor = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 2, "h", "w"])
    out = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 2, "h", "w"])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "foreign", [tensor], [out])
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "foreign.onnx")
    with pytest.raises(WeightsError, match="is not a ReFusion model: expected the input .*'sources'"):
        create_backend("auto", tmp_path / "foreign.onnx")


def test_changed_shipped_weights_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = shipped_weights(Task.ivif)
    for path in (files.onnx, files.safetensors, files.onnx.with_suffix(".json")):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr("refusion.weights.FOLDER", tmp_path)
    shipped_weights(Task.ivif)
    data = bytearray((tmp_path / "ivif.onnx").read_bytes())
    data[1000] ^= 1
    (tmp_path / "ivif.onnx").write_bytes(data)
    with pytest.raises(WeightsError, match="missing or differs from its manifest"):
        shipped_weights(Task.ivif)


def test_missing_shipped_weights_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("refusion.weights.FOLDER", tmp_path)
    with pytest.raises(WeightsError, match=r"weights for mif .* are missing .* name a file with --weights"):
        shipped_weights(Task.mif)


@pytest.mark.parametrize("task", list(Task), ids=lambda task: task.name)
def test_every_task_has_shipped_weights(task: Task) -> None:
    assert shipped_weights(task).manifest["task"] == task.name


def test_torch_runs_on_the_cpu_only() -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    with pytest.raises(BackendError, match="the torch backend runs on the CPU only"):
        Fuser("ivif", backend="torch", device="cuda")
