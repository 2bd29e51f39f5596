from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from refusion import Fuser, InputError, OutputError, Task  # noqa: E402
from refusion.export import verification  # noqa: E402
from refusion.export.onnx_model import (  # noqa: E402
    OnnxForm,
    OnnxRequest,
    export_onnx,
    exported_before,
)
from refusion.export.precision import ExportError, Precision  # noqa: E402
from refusion.export.verification import cases_for  # noqa: E402
from refusion.models.checkpoints import save_network  # noqa: E402
from refusion.models.fusion import FusionModule  # noqa: E402
from refusion.weights import shipped_weights  # noqa: E402

SHAPE = (1, 48, 64)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("checkpoint") / "random.safetensors"
    save_network(FusionModule(), path, task="ivif")
    return path


@pytest.fixture(scope="module")
def exported(checkpoint: Path) -> Path:
    target = checkpoint.with_name("random.onnx")
    report = export_onnx(OnnxRequest(checkpoint, Task.ivif), target)
    assert report.path == target
    assert report.accuracy.largest_error <= 1e-4
    assert report.accuracy.inputs == len(cases_for(Precision.fp32, None, None))
    return target


def test_the_exported_model_runs_at_any_size_and_batch(exported: Path, checkpoint: Path) -> None:
    onnx, reference = Fuser(weights=exported), Fuser(weights=checkpoint, backend="torch")
    random = np.random.default_rng(0)
    for height, width in ((1, 1), (3, 50), (67, 41)):
        a, b = random.integers(0, 256, (2, height, width), np.uint8)
        assert np.abs(onnx.luma(a, b) - reference.luma(a, b)).max() <= 1e-4
    pairs = [tuple(random.integers(0, 256, (2, 20, 30), np.uint8)) for _ in range(3)]
    assert len(onnx.batch(pairs)) == 3


def test_native_operators_are_kept(exported: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    kinds = [node.op_type for node in onnx.load(exported).graph.node]
    assert kinds.count("LayerNormalization") == 12
    assert kinds.count("Gelu") == 8
    assert len(kinds) < 450


def test_official_weights_on_real_pairs(shared: Path, tmp_path: Path) -> None:
    source = shared / "reference" / "cases" / "IVIF"
    report = export_onnx(
        OnnxRequest(shared / "reference" / "weights" / "ReFusion_IVIF.pth", Task.ivif),
        tmp_path / "official.onnx",
        verification_pairs=(source / "source1", source / "source2"),
    )
    assert report.accuracy.inputs == len(cases_for(Precision.fp32, None, None)) + 2
    assert report.accuracy.largest_error <= 1e-4


@pytest.mark.parametrize("task", list(Task), ids=lambda task: task.name)
def test_mixed_fp16_of_the_shipped_weights(task: Task, tmp_path: Path) -> None:
    request = OnnxRequest(shipped_weights(task).safetensors, task, precision=Precision.fp16, shape=SHAPE)
    report = export_onnx(request, tmp_path / request.file_name())
    assert report.path.name == f"{task.name}-full-fp16-1x48x64.onnx"
    assert report.accuracy.lowest_psnr_db is None or report.accuracy.lowest_psnr_db >= 55
    assert report.accuracy.largest_error <= 1 / 255
    assert exported_before(request, report.path) == replace(report, was_there=True)


def test_mixed_fp16_with_dynamic_shapes_on_real_pairs(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "LARGE_SHAPES", ())  # the command line's test has them
    source = shared / "reference" / "cases" / "IVIF"
    checkpoint = shipped_weights(Task.ivif).safetensors
    report = export_onnx(
        OnnxRequest(checkpoint, Task.ivif, precision=Precision.fp16),
        tmp_path / "fp16.onnx",
        verification_pairs=(source / "source1", source / "source2"),
    )
    assert report.accuracy.lowest_psnr_db is not None
    assert report.accuracy.lowest_psnr_db >= 55
    random = np.random.default_rng(0)
    mixed, single = Fuser(weights=report.path), Fuser("ivif")
    for height, width in ((1, 1), (67, 41)):
        a, b = random.integers(0, 256, (2, height, width), np.uint8)
        assert np.abs(mixed.luma(a, b) - single.luma(a, b)).max() <= 1 / 255


@pytest.mark.parametrize("changes", [{"form": OnnxForm.decomposed}, {"half_products": True}])
def test_other_forms_are_the_same_function(tmp_path: Path, changes: dict[str, Any]) -> None:
    checkpoint = shipped_weights(Task.ivif).safetensors
    request = OnnxRequest(checkpoint, Task.ivif, precision=Precision.fp16, shape=SHAPE, **changes)
    report = export_onnx(request, tmp_path / request.file_name())
    assert report.accuracy.largest_error <= 1 / 255
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    model = onnx.load(report.path)
    kinds = {node.op_type for node in model.graph.node}
    assert kinds.isdisjoint({"LayerNormalization", "Gelu"}) == (request.form is OnnxForm.decomposed)
    assert model.opset_import[0].version == request.form.value


@pytest.mark.parametrize("precision", list(Precision))
def test_a_fixed_shape_is_fixed_and_leaves_no_shape_arithmetic(tmp_path: Path, precision: Precision) -> None:
    shape = (1, 72, 64)  # more pixels than PyTorch sums up in one go
    request = OnnxRequest(shipped_weights(Task.ivif).safetensors, Task.ivif, precision=precision, shape=shape)
    report = export_onnx(request, tmp_path / request.file_name())
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    model = onnx.load(report.path)
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("MatMul") == 16
    assert "Shape" not in kinds
    assert [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim] == [1, 2, 72, 64]


def test_an_export_is_recognised_by_everything_that_went_into_it(exported: Path, checkpoint: Path) -> None:
    request = OnnxRequest(checkpoint, Task.ivif)
    assert exported_before(request, exported) is not None
    others = [
        replace(request, task=Task.mif),
        replace(request, precision=Precision.fp16),
        replace(request, form=OnnxForm.decomposed),
        replace(request, shape=SHAPE),
        replace(request, half_products=True),
        replace(request, checkpoint=shipped_weights(Task.ivif).safetensors),
    ]
    assert [exported_before(other, exported) for other in others] == [None] * len(others)


@pytest.mark.parametrize("content", [None, b"", b"junk" * 50])
def test_what_is_no_export_is_not_taken_for_one(
    tmp_path: Path, checkpoint: Path, content: bytes | None
) -> None:
    path = tmp_path / "x.onnx"
    if content is not None:
        path.write_bytes(content)
    assert exported_before(OnnxRequest(checkpoint, Task.ivif), path) is None


def test_weights_that_fp16_cannot_hold_are_refused(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = FusionModule()
    with torch.no_grad():
        module.input_a.weight *= 1e6
    save_network(module, tmp_path / "large.safetensors", task="ivif")
    request = OnnxRequest(tmp_path / "large.safetensors", Task.ivif, precision=Precision.fp16, shape=SHAPE)
    with pytest.raises(ExportError, match=r"gives nan on '1 rendered pair\(s\) of 64x48', at pair 0"):
        export_onnx(request, tmp_path / "large.onnx")
    assert not (tmp_path / "large.onnx").exists()


def test_an_existing_target_is_kept(exported: Path, checkpoint: Path) -> None:
    before = exported.read_bytes()
    with pytest.raises(OutputError, match="is there already"):
        export_onnx(OnnxRequest(checkpoint, Task.ivif), exported)
    assert exported.read_bytes() == before


def test_a_missing_checkpoint_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no checkpoint"):
        export_onnx(OnnxRequest(tmp_path / "none.pth", Task.ivif), tmp_path / "x.onnx")
    assert list(tmp_path.iterdir()) == []
