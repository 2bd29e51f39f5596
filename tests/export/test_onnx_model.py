from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from refusion import Fuser, InputError, OutputError, Task  # noqa: E402
from refusion.export.graph import runtime_form  # noqa: E402
from refusion.export.onnx_model import export_onnx  # noqa: E402
from refusion.export.verification import ExportError, generated_cases, verify  # noqa: E402
from refusion.models.checkpoints import save_fusion  # noqa: E402
from refusion.models.fusion import FusionModule  # noqa: E402


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("checkpoint") / "random.safetensors"
    save_fusion(FusionModule(), path, task="ivif")
    return path


@pytest.fixture(scope="module")
def exported(checkpoint: Path) -> Path:
    target = checkpoint.with_name("random.onnx")
    report = export_onnx(checkpoint, target, task=Task.ivif)
    assert report.path == target
    assert report.largest_error <= 1e-4
    assert report.verified_inputs == len(list(generated_cases()))
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
        shared / "reference" / "weights" / "ReFusion_IVIF.pth",
        tmp_path / "official.onnx",
        task=Task.ivif,
        verification_pairs=(source / "source1", source / "source2"),
    )
    assert report.verified_inputs == len(list(generated_cases())) + 2
    assert report.largest_error <= 1e-4


def test_an_existing_target_is_kept(exported: Path, checkpoint: Path) -> None:
    before = exported.read_bytes()
    with pytest.raises(OutputError, match="is there already"):
        export_onnx(checkpoint, exported, task=Task.ivif)
    assert exported.read_bytes() == before


def test_a_missing_checkpoint_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no checkpoint"):
        export_onnx(tmp_path / "none.pth", tmp_path / "x.onnx", task=Task.ivif)
    assert list(tmp_path.iterdir()) == []


def test_the_runtime_form_is_the_same_function() -> None:
    torch.manual_seed(0)
    module = FusionModule().eval()
    sources = torch.rand(2, 2, 19, 23)
    with torch.inference_mode():
        torch.testing.assert_close(runtime_form(module)(sources), module(sources), atol=1e-6, rtol=0)


@pytest.mark.parametrize("damage", [1e-3, float("nan")])
def test_a_model_that_differs_is_refused_with_the_place(damage: float) -> None:
    module = FusionModule().eval()

    def wrong(sources: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            fused = module(torch.from_numpy(sources)).numpy().copy()
        fused[0, 0, 2, 3] += damage
        return fused

    case = ("ramp", np.random.default_rng(0).random((1, 2, 8, 9), np.float32))
    with pytest.raises(ExportError, match=r"on 'ramp', pair 0, row 2, column 3; nothing was written"):
        verify(module, wrong, iter([case]), tolerance=1e-4)
