"""Exports of the lite network: ONNX in both precisions, engines, model repositories."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
nn = torch.nn
onnx = pytest.importorskip("onnx", reason="onnx is not installed")

from refusion import Fuser, Task, UsageError  # noqa: E402
from refusion.backends.tensorrt.sidecar import read_sidecar  # noqa: E402
from refusion.cli.export_steps import Export  # noqa: E402
from refusion.export import verification  # noqa: E402
from refusion.export.graph import runtime_form  # noqa: E402
from refusion.export.onnx_model import OnnxForm, OnnxRequest, export_onnx, exported_before  # noqa: E402
from refusion.export.onnx_source import read_source  # noqa: E402
from refusion.export.precision import Precision  # noqa: E402
from refusion.models import Model  # noqa: E402
from refusion.models.checkpoints import save_network  # noqa: E402
from refusion.models.lite import LiteModule  # noqa: E402
from refusion.weights_file import stated_model  # noqa: E402


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    module = LiteModule()
    path = tmp_path_factory.mktemp("checkpoint") / "random.safetensors"
    save_network(module, path, task="ivif")
    return path


def test_the_exported_model_runs_at_any_size_and_batch(checkpoint: Path, tmp_path: Path) -> None:
    request = OnnxRequest(checkpoint, Task.ivif)
    target = tmp_path / request.file_name()
    report = export_onnx(request, target)
    assert target.name == "ivif-lite-fp32.onnx"
    assert report.accuracy.largest_error <= 1e-5
    assert exported_before(request, target) == replace(report, was_there=True)
    assert stated_model(target) is Model.lite
    assert read_source(target).model == "lite"
    found, reference = Fuser(weights=target, model="lite"), Fuser(weights=checkpoint, backend="torch")
    random = np.random.default_rng(0)
    for height, width in ((1, 1), (3, 50), (16, 32), (67, 41)):
        a, b = random.integers(0, 256, (2, height, width), np.uint8)
        assert np.abs(found.luma(a, b) - reference.luma(a, b)).max() <= 1e-5
    pairs = [tuple(random.integers(0, 256, (2, 20, 30), np.uint8)) for _ in range(3)]
    assert len(found.batch(pairs)) == 3


@pytest.mark.parametrize("form", list(OnnxForm))
def test_mixed_fp16(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: OnnxForm
) -> None:
    monkeypatch.setattr(verification, "LARGE_SHAPES", ())
    request = OnnxRequest(checkpoint, Task.ivif, precision=Precision.fp16, form=form)
    report = export_onnx(request, tmp_path / request.file_name())
    assert report.accuracy.lowest_psnr_db is not None
    assert report.accuracy.lowest_psnr_db >= 55
    assert report.accuracy.largest_error <= 1 / 255
    model = onnx.load(report.path)
    assert model.opset_import[0].version == form.value
    kernels = [tensor for tensor in model.graph.initializer if len(tensor.dims) == 4]
    halves = [tensor for tensor in kernels if tensor.data_type == onnx.TensorProto.FLOAT16]
    convolutions = [layer for layer in runtime_form(LiteModule()).modules() if isinstance(layer, nn.Conv2d)]
    assert len(halves) == len(convolutions) > 50
    assert len(kernels) == len(halves)


def test_a_fixed_shape_of_whole_cells_leaves_no_shape_arithmetic(checkpoint: Path, tmp_path: Path) -> None:
    request = OnnxRequest(checkpoint, Task.ivif, shape=(1, 48, 64))
    report = export_onnx(request, tmp_path / request.file_name())
    kinds = [node.op_type for node in onnx.load(report.path).graph.node]
    assert "Shape" not in kinds
    assert kinds.count("Pad") == 1  # the features' border


def steps(checkpoint: Path | None, folder: Path, model: Model | None = None, target: str = "sm89") -> Export:
    return Export(
        task=Task.ivif,
        model=model,
        precision="fp16",
        checkpoint=checkpoint,
        onnx=None,
        sizes=(None, "16x16", "48x64", "64x80"),
        batch=1,
        target=target,
        workspace_mib=None,
        optimization_level=None,
        form="auto",
        folder=folder,
        verification_pairs=None,
        force=False,
    )


@pytest.mark.parametrize(("target", "form"), [("sm75", "-turing"), ("sm89", "")])
def test_an_engine_of_dynamic_shape(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, form: str
) -> None:
    if importlib.util.find_spec("tensorrt_rtx") is None:
        pytest.skip("tensorrt-rtx is not installed")
    monkeypatch.setattr(verification, "LARGE_SHAPES", ())
    steps(checkpoint, tmp_path, Model.lite, target).write_engine("tensorrt-rtx")
    (plan,) = tmp_path.glob("*.plan")
    record = read_sidecar(plan)
    assert record is not None
    assert record.onnx_file == f"ivif-lite-fp16{form}.onnx"
    assert record.identity.model == "lite"
    assert record.identity.export_command().startswith("refusion export --task ivif --model lite --fp16 ")


def test_a_triton_repository(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "LARGE_SHAPES", ())
    steps(checkpoint, tmp_path).write_triton()
    configuration = tmp_path / "triton" / "refusion_ivif_lite_fp16_onnx" / "config.pbtxt"
    assert configuration.read_text().startswith("# ivif-lite, fp16, any GPU or CPU; weights ")


def test_a_checkpoint_of_another_model_than_asked_for_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="random.safetensors holds the lite model, not full: name another"):
        steps(checkpoint, tmp_path, Model.full).write_onnx()
