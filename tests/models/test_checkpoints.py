from __future__ import annotations

import os
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from refusion import InputError, WeightsError  # noqa: E402
from refusion.models.checkpoints import load_fusion, save_network  # noqa: E402
from refusion.models.fusion import FusionModule  # noqa: E402


class RunsCode:
    """Pickles to a call."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {os.environ['REFUSION_TEST_MARK']}",)


def test_our_checkpoints_come_back(tmp_path: Path) -> None:
    module = FusionModule()
    save_network(module, tmp_path / "x.safetensors", task="ivif")
    loaded = load_fusion(tmp_path / "x.safetensors")
    for name, value in module.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], value, rtol=0, atol=0)
    assert not loaded.training


@pytest.mark.parametrize("task", ["IVIF", "MIF", "MFIF", "MEIF"])
def test_official_checkpoints_load(shared: Path, task: str) -> None:
    module = load_fusion(shared / "reference" / "weights" / f"ReFusion_{task}.pth")
    assert all(torch.isfinite(value).all() for value in module.state_dict().values())


def test_a_pickle_that_runs_code_is_refused_and_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "mark"
    monkeypatch.setenv("REFUSION_TEST_MARK", str(mark))
    torch.save({"input_a.weight": RunsCode()}, tmp_path / "evil.pth")
    with pytest.raises(WeightsError, match="it holds more than tensors, and loading it could run its code"):
        load_fusion(tmp_path / "evil.pth")
    assert not mark.exists()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"text", bytes(range(256)) * 8])
def test_junk_is_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"junk{suffix}"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="is not a readable"):
        load_fusion(path)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_truncated_checkpoints_are_refused(tmp_path: Path, suffix: str) -> None:
    whole, cut = tmp_path / f"whole{suffix}", tmp_path / f"cut{suffix}"
    if suffix == ".pth":
        torch.save(FusionModule().state_dict(), whole)
    else:
        save_network(FusionModule(), whole, task="ivif")
    cut.write_bytes(whole.read_bytes()[:-3000])
    with pytest.raises(WeightsError, match="is not a readable"):
        load_fusion(cut)


def test_other_networks_are_refused_with_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({"conv.weight": torch.ones(3)}, path)
    with pytest.raises(WeightsError, match="86 tensors are missing and 1 unknown"):
        load_fusion(path)
    state = FusionModule().state_dict()
    state["head.weight"] = torch.ones(8, 32, 3, 3)
    torch.save(state, path)
    with pytest.raises(WeightsError, match=r"head.weight is \(8, 32, 3, 3\), not \(16, 32, 3, 3\)"):
        load_fusion(path)
    torch.save([1, 2], path)
    with pytest.raises(WeightsError, match="holds no state dict"):
        load_fusion(path)


@pytest.mark.parametrize(
    "value",
    [
        torch.ones(16, 32, 3, 3).to_sparse(),
        torch.ones(16, 32, 3, 3, dtype=torch.int64),
        torch.ones(16, 32, 3, 3, dtype=torch.complex64),
        torch.ones(16, 32, 3, 3).to(torch.float8_e4m3fn),
        torch.ones(16, 32, 3, 3, device="meta"),
    ],
    ids=["sparse", "int64", "complex64", "float8", "meta"],
)
def test_tensors_that_are_no_weights_are_refused(tmp_path: Path, value: torch.Tensor) -> None:
    path = tmp_path / "other.pth"
    torch.save({**FusionModule().state_dict(), "head.weight": value}, path)
    with pytest.raises(WeightsError, match="holds no state dict of a network"):
        load_fusion(path)
    modules = {f"fusion.{name}": tensor for name, tensor in FusionModule().state_dict().items()}
    torch.save({"modules": {**modules, "fusion.head.weight": value}}, tmp_path / "run.pt")
    with pytest.raises(WeightsError, match=r"run.pt holds head.weight as torch\..*; weights are dense fl"):
        load_fusion(tmp_path / "run.pt")


def test_names_that_are_no_text_are_refused(tmp_path: Path) -> None:
    torch.save({7: torch.ones(1)}, tmp_path / "numbers.pth")
    with pytest.raises(WeightsError, match="holds no state dict of a network"):
        load_fusion(tmp_path / "numbers.pth")


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    module = FusionModule()
    with torch.no_grad():
        module.head.weight[0, 0, 0, 0] = float("nan")
    save_network(module, tmp_path / "nan.safetensors", task="ivif")
    with pytest.raises(WeightsError, match="head.weight has values that are NaN or infinite"):
        load_fusion(tmp_path / "nan.safetensors")


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no checkpoint .*none.pth"):
        load_fusion(tmp_path / "none.pth")


def test_twins_that_differ_are_refused(shared: Path, tmp_path: Path) -> None:
    path = shared / "reference" / "weights" / "ReFusion_IVIF.pth"
    state = torch.load(path, map_location="cpu", weights_only=True)
    state["FM.qkv1.weight"] = state["FM.qkv1.weight"] + 1
    torch.save(state, tmp_path / "twins.pth")
    with pytest.raises(WeightsError, match=r"the two copies of FM.qkv1"):
        load_fusion(tmp_path / "twins.pth")


def test_the_state_of_a_training_run_is_read(tmp_path: Path) -> None:
    module = FusionModule()
    modules = {f"fusion.{name}": value for name, value in module.state_dict().items()}
    torch.save({"modules": {**modules, "proposal.x": torch.ones(1)}, "epoch": 1}, tmp_path / "best.pt")
    loaded = load_fusion(tmp_path / "best.pt").state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in module.state_dict().items())


def test_a_run_without_a_fusion_module_is_refused(tmp_path: Path) -> None:
    torch.save({"modules": {"proposal.x": torch.ones(1)}}, tmp_path / "best.pt")
    with pytest.raises(WeightsError, match=r"best.pt"):
        load_fusion(tmp_path / "best.pt")
