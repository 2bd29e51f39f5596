"""Parity with the official ReFusion outputs: the network's raw output, and the finished pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")

from refusion import Chroma, Fuser, ops
from refusion.backends import is_installed
from refusion.files import read_image

CASES = [
    ("ivif", "00710N.png"),
    ("ivif", "00906N.png"),
    ("mif", "MRI_PET_14.png"),
    ("mif", "MRI_PET_37.png"),
    ("mfif", "14.jpg"),
    ("mfif", "5.jpg"),
    ("meif", "AirBellowsGap.png"),
    ("meif", "ICCV_03.png"),
]

# This reference itself is 1.34e-5 off what the network gives in float64, from its own float32 sums over
# 960,000 pixels; ours is within 3e-6 of float64.
ROUNDING_OF_REFERENCE = {"ICCV_03.png": 1.5e-5}


@pytest.mark.parametrize("backend", ["torch", "native"])
@pytest.mark.parametrize(("task", "file"), CASES)
def test_official_weights_give_the_official_results(shared: Path, task: str, file: str, backend: str) -> None:
    if not is_installed(backend):
        pytest.skip(f"the {backend} backend is not built")
    reference = shared / "reference"
    folder = reference / "cases" / task.upper()
    a, b = read_image(folder / "source1" / file), read_image(folder / "source2" / file)
    outputs = folder / "output" / Path(file).stem
    fuser = Fuser(task, weights=reference / "weights" / f"ReFusion_{task.upper()}.pth", backend=backend)

    raw = fuser.luma(a, b)
    tolerance = ROUNDING_OF_REFERENCE.get(file, 1e-5)
    assert np.abs(raw - np.load(outputs.with_suffix(".npz"))["raw"]).max() <= tolerance

    gray = ops.postprocess(raw, a, b, chroma=Chroma.NONE, value_range=ops.value_range(raw))
    assert largest_difference(gray, read_image(outputs.with_suffix(".png"))) <= 1

    colour = read_image(outputs.with_name(f"{outputs.name}_rgb.png"))
    assert largest_difference(fuser(a, b), colour) <= 1


def largest_difference(found: np.ndarray, expected: np.ndarray) -> int:
    """Largest difference in gray levels."""
    assert found.shape == expected.shape
    return int(np.abs(found.astype(int) - expected).max())
