from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from refusion import WeightsError  # noqa: E402
from refusion.models.checkpoints import load_fusion, load_network, save_network  # noqa: E402
from refusion.models.lite import STRIDE_PX, LiteModule  # noqa: E402
from refusion.weights_file import stated  # noqa: E402

SIZES = [(1, 1), (1, 40), (33, 2), (16, 16), (37, 53)]


@pytest.fixture(scope="module")
def module() -> LiteModule:
    """A network whose coefficients vary from cell to cell."""
    torch.manual_seed(0)
    module = LiteModule().eval()
    torch.nn.init.normal_(module.grid.output.weight, std=0.2)
    torch.nn.init.normal_(module.grid.context[-1].weight, std=0.05)
    return module


@pytest.mark.parametrize("size", SIZES)
def test_any_size_is_fused(module: LiteModule, size: tuple[int, int]) -> None:
    sources = torch.rand(2, 2, *size)
    fused = module(sources)
    assert fused.shape == (2, 1, *size)
    assert ((fused >= 0) & (fused <= 1)).all()


def test_training_starts_at_the_average_of_the_sources() -> None:
    torch.manual_seed(0)
    sources = torch.rand(1, 2, 64, 64)
    error = LiteModule()(sources) - sources.mean(dim=1, keepdim=True)
    assert error.abs().max() < 0.2


def test_coefficients_lie_at_the_centres_of_their_cells(module: LiteModule) -> None:
    sources = torch.rand(1, 2, 3 * STRIDE_PX, 2 * STRIDE_PX)
    grid = module.grid(sources)
    assert grid.shape == (1, module.grid.output.out_channels, 3, 2)
    # Between four centres each of the cells counts 1/4 but for half a pixel; corners hold their cell's own.
    row = column = STRIDE_PX - 1
    weight = (STRIDE_PX / 2 - 0.5) / STRIDE_PX
    weights = torch.tensor([1 - weight, weight])
    mixed = torch.einsum("kij,i,j->k", grid[0, :, :2, :2], weights, weights)
    for (y, x), coefficients in {(row, column): mixed, (0, 0): grid[0, :, 0, 0]}.items():
        around = torch.nn.functional.pad(sources, (1, 1, 1, 1), mode="replicate")[..., y : y + 3, x : x + 3]
        learned = module.features(around).relu().flatten()
        features = torch.cat((torch.ones(1), sources[0, :, y, x], learned))
        torch.testing.assert_close(module.unclamped(sources)[0, 0, y, x], coefficients @ features)


def test_the_whole_picture_counts(module: LiteModule) -> None:
    sources = torch.rand(1, 2, 40 * STRIDE_PX, STRIDE_PX)
    darker = sources.clone()
    darker[:, 0, 20 * STRIDE_PX :] *= 0.2
    # Far beyond what the convolutions see.
    change = (module.unclamped(darker) - module.unclamped(sources))[..., :STRIDE_PX, :].abs()
    assert change.max() > 1e-3


def test_a_pair_is_fused_alone_as_in_a_batch(module: LiteModule) -> None:
    sources = torch.rand(3, 2, 21, 35)
    apart = torch.cat([module(pair[None]) for pair in sources])
    torch.testing.assert_close(module(sources), apart)


def test_pixels_out_of_range_keep_their_gradients_in_training(module: LiteModule) -> None:
    sources = torch.ones(1, 2, 16, 16)
    raw = module.unclamped(4 * sources)
    assert (raw.detach().abs() > 1).any()
    torch.testing.assert_close(raw.clamp(0, 1), module(4 * sources))


def test_exports_to_onnx_at_any_size_and_batch(module: LiteModule) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    pytest.importorskip("onnx", reason="onnx is not installed")
    buffer = io.BytesIO()
    dynamic = {0: "batch", 2: "height", 3: "width"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (torch.rand(2, 2, 37, 53),),
            buffer,
            dynamo=False,
            opset_version=20,
            input_names=["sources"],
            output_names=["fused"],
            dynamic_axes={"sources": dynamic, "fused": dynamic},
        )
    session = onnxruntime.InferenceSession(buffer.getvalue(), providers=["CPUExecutionProvider"])
    for size in SIZES:
        for batch in (1, 3):
            sources = torch.rand(batch, 2, *size)
            (fused,) = session.run(None, {"sources": sources.numpy()})
            with torch.no_grad():
                np.testing.assert_allclose(fused, module(sources).numpy(), atol=1e-5)


def test_checkpoints_come_back_and_say_what_they_hold(module: LiteModule, tmp_path: Path) -> None:
    path = tmp_path / "lite.safetensors"
    save_network(module, path, task="ivif")
    assert stated(path) == {"architecture": "refusion-lite", "task": "ivif"}
    loaded = load_network(path)
    assert isinstance(loaded, LiteModule)
    assert not loaded.training
    sources = torch.rand(1, 2, 20, 30)
    torch.testing.assert_close(loaded(sources), module(sources), rtol=0, atol=0)


def test_the_state_of_a_training_run_is_read(module: LiteModule, tmp_path: Path) -> None:
    modules = {f"fusion.{name}": value for name, value in module.state_dict().items()}
    torch.save({"modules": {**modules, "teacher.x": torch.ones(1)}}, tmp_path / "best.pt")
    assert isinstance(load_network(tmp_path / "best.pt"), LiteModule)


def test_it_is_no_full_network(module: LiteModule, tmp_path: Path) -> None:
    save_network(module, tmp_path / "lite.safetensors", task="ivif")
    with pytest.raises(WeightsError, match="holds another network than the full fusion module"):
        load_fusion(tmp_path / "lite.safetensors")
