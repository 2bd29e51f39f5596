"""The shipped weights of the lite network: every backend gives the same picture."""

from __future__ import annotations

import numpy as np
import pytest

from refusion import Fuser
from refusion.backends import native
from refusion.models import Model
from refusion.stream.synthetic import SyntheticScene
from refusion.tasks import Task
from refusion.weights import FOLDER, shipped_weights

SHIPPED = [task for task in Task if (FOLDER / f"{task.name}{Model.lite.value.suffix}.json").is_file()]


@pytest.mark.parametrize("task", SHIPPED, ids=lambda task: task.name)
def test_backends_agree(task: Task) -> None:
    pair = SyntheticScene(width_px=170, height_px=130).pair(0)
    available = ["onnxruntime"] + ["native"] * native.is_built()
    lumas = []
    for backend in available:
        with Fuser(task, model="lite", backend=backend, device="cpu") as fuser:
            lumas.append(fuser.luma(pair.a, pair.b))
    for luma in lumas:
        assert np.ptp(luma) > 0.2
        np.testing.assert_allclose(luma, lumas[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("task", SHIPPED, ids=lambda task: task.name)
def test_auto_on_a_cpu_is_native_where_built(task: Task) -> None:
    files = shipped_weights(task, Model.lite)
    assert files.manifest["task"] == task.name
    with Fuser(task, model="lite", device="cpu") as fuser:
        assert fuser.weights == (files.safetensors if native.is_built() else files.onnx)
