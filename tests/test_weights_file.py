from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from refusion import Fuser, Task, UsageError, WeightsError
from refusion.models import Model
from refusion.weights import shipped_weights
from refusion.weights_file import stated, stated_model

FILES = shipped_weights(Task.ivif)


@pytest.mark.parametrize("path", [FILES.onnx, FILES.safetensors], ids=lambda path: str(path.suffix))
def test_a_shipped_file_says_what_it_holds(path: Path) -> None:
    assert stated_model(path) is Model.full
    assert "ivif" in stated(path).values()


def test_a_checkpoint_of_the_lite_model_says_so(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"w": np.zeros(1, np.float32)}, path, metadata={"architecture": "refusion-lite"})
    assert stated_model(path) is Model.lite


@pytest.mark.parametrize("name", ["x.pth", "none.safetensors", "none.onnx"])
def test_what_says_nothing_holds_anything(tmp_path: Path, name: str) -> None:
    (tmp_path / "x.pth").write_bytes(b"pickle")
    assert stated_model(tmp_path / name) is None


def test_a_file_without_an_architecture_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"w": np.zeros(1, np.float32)}, path)
    assert (stated(path), stated_model(path)) == ({}, None)


@pytest.mark.parametrize("suffix", [".onnx", ".safetensors"])
def test_a_damaged_file_is_named(tmp_path: Path, suffix: str) -> None:
    path = (tmp_path / "junk").with_suffix(suffix)
    path.write_bytes(b"junk" * 50)
    with pytest.raises(WeightsError, match=f"junk{suffix} is not a readable "):
        stated(path)


def test_weights_of_another_model_than_asked_for_are_refused() -> None:
    with pytest.raises(UsageError, match=r"ivif.onnx holds the full model, not lite: name another file"):
        Fuser(model="lite", weights=FILES.onnx)
    with Fuser(model=Model.full, weights=FILES.onnx) as fuser:
        assert fuser.weights == FILES.onnx
