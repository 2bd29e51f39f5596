from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from refusion import WeightsError  # noqa: E402
from refusion.models import lite  # noqa: E402
from refusion.models.checkpoints import load_fusion, load_network, save_network  # noqa: E402
from refusion.models.lite import DETAIL, RADIUS, STRIDE_PX, LiteModule, guided_coefficients  # noqa: E402
from refusion.weights_file import stated  # noqa: E402

SIZES = [(1, 1), (1, 40), (33, 2), (16, 16), (37, 53)]


@pytest.fixture(scope="module")
def module() -> LiteModule:
    torch.manual_seed(0)
    return LiteModule().eval()


@pytest.mark.parametrize("size", SIZES)
def test_any_size_is_fused(module: LiteModule, size: tuple[int, int]) -> None:
    sources = torch.rand(2, 2, *size)
    fused = module(sources)
    assert fused.shape == (2, 1, *size)
    assert ((fused >= 0) & (fused <= 1)).all()


@pytest.mark.parametrize("factors", [(1.0, 0.0), (0.0, 1.0), (0.6, 0.3), (-0.5, 1.2)])
def test_the_fit_finds_what_is_linear_in_the_sources(factors: tuple[float, float]) -> None:
    random = torch.Generator().manual_seed(0)
    sources = torch.rand(1, 2, 40, 50, generator=random)
    fused = 0.1 + sum(factor * source for factor, source in zip(factors, sources.split(1, 1), strict=True))
    coefficients = guided_coefficients(sources, fused)
    # The ridge pulls a little towards 1/2 each.
    expected = torch.tensor([0.1, *factors])[None, :, None, None].expand_as(coefficients)
    torch.testing.assert_close(coefficients, expected, atol=3e-3, rtol=0)


def test_where_the_sources_are_flat_they_count_half_each() -> None:
    sources = torch.full((1, 2, 30, 30), 0.2)
    sources[:, 1] = 0.6
    coefficients = guided_coefficients(sources, torch.full((1, 1, 30, 30), 0.9))
    expected = torch.tensor([0.9 - 0.5 * 0.2 - 0.5 * 0.6, 0.5, 0.5])[None, :, None, None].expand(1, 3, 30, 30)
    # Rounding of variances, 1e-7, against the ridge.
    torch.testing.assert_close(coefficients, expected, atol=2e-3, rtol=0)


def test_coefficients_are_of_the_windows_around_their_pixel() -> None:
    """Fused is a on the left, b on the right: two radii off, for fit and mean, one source is all."""
    random = torch.Generator().manual_seed(1)
    sources = torch.rand(1, 2, 20, 80, generator=random)
    fused = torch.cat((sources[:, :1, :, :40], sources[:, 1:, :, 40:]), dim=3)
    of_a, of_b = guided_coefficients(sources, fused)[0, 1:, 10]
    assert (of_a[: 40 - 2 * RADIUS] > 0.99).all()
    assert (of_b[40 + 2 * RADIUS :] > 0.99).all()
    assert 0.3 < of_a[40] < 0.7


def test_the_guided_step_keeps_edges_of_full_resolution(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the small pictures become, what is fused is linear in the sources nearby."""
    monkeypatch.setattr(lite, "DETAIL", 0.0)
    module = LiteModule().eval()
    sources = torch.zeros(1, 2, 64, 64)
    sources[..., 30:] = 1.0
    sources[:, 1] *= 0.5
    with torch.no_grad():
        fused = module.unclamped(sources)[0, 0]
    steps = fused.diff(dim=1).abs().mean(0)
    assert int(steps.argmax()) == 29
    assert steps.max() > 20 * steps[[27, 28, 30, 31]].max()


def test_detail_is_what_the_blur_takes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    module = LiteModule().eval()
    sources = torch.rand(1, 2, 24, 36)
    with torch.no_grad():
        sharpened = module.unclamped(sources)
        monkeypatch.setattr(lite, "DETAIL", 0.0)
        plain = module.unclamped(sources)
    around = torch.nn.functional.pad(plain, (1, 1, 1, 1), mode="replicate")
    line = torch.tensor([0.25, 0.5, 0.25])
    blurred = torch.nn.functional.conv2d(around, torch.outer(line, line)[None, None])
    torch.testing.assert_close(sharpened, plain + DETAIL * (plain - blurred))


def test_small_pixels_are_means_of_whole_ones(module: LiteModule) -> None:
    """A picture that repeats each small pixel is fused as the small picture is, but for the enlarging."""
    small = torch.rand(1, 2, 12, 20)
    seen: list[torch.Tensor] = []
    handle = module.fusion.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    module(small.repeat_interleave(STRIDE_PX, 2).repeat_interleave(STRIDE_PX, 3)[..., :-1, :-2])
    handle.remove()
    torch.testing.assert_close(seen[0], small)


def test_a_pair_is_fused_alone_as_in_a_batch(module: LiteModule) -> None:
    sources = torch.rand(3, 2, 21, 35)
    apart = torch.cat([module(pair[None]) for pair in sources])
    torch.testing.assert_close(module(sources), apart)


def test_pixels_out_of_range_keep_their_gradients_in_training() -> None:
    class Twice(torch.nn.Module):
        def forward(self, sources: torch.Tensor) -> torch.Tensor:
            return 2 * sources[:, :1]

    module = LiteModule().eval()
    module.fusion = Twice()
    sources = torch.rand(1, 2, 16, 16)
    raw = module.unclamped(sources)
    assert (raw.detach() > 1).any()
    torch.testing.assert_close(raw.clamp(0, 1), module(sources))


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
