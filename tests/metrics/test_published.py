"""The metrics on real pairs, against figures measured independently of this code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from refusion.files import images_by_stem, read_image
from refusion.metrics import PairRecord, evaluate, mean
from refusion.metrics.fidelity import visual_information_fidelity
from refusion.metrics.planes import gray

TNO_AVERAGE = {
    "EN": 6.233,
    "SD": 26.11,
    "SF": 6.95,
    "AG": 2.667,
    "MI": 1.602,
    "SCD": 1.541,
    "VIF": 0.573,
    "Qabf": 0.356,
    "SSIM": 1.457,
    "SSIM2": 1.014,
    "CC": 0.565,
}


@pytest.fixture(scope="module")
def tno(shared: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The 25 TNO pairs, gray: infrared, visible."""
    infrared, visible = (images_by_stem(shared / "data" / "ivif" / "test" / name) for name in ("ir", "vis"))
    return {stem: (gray(read_image(infrared[stem])), gray(read_image(visible[stem]))) for stem in infrared}


def test_average_of_both_sources(tno: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    assert len(tno) == 25
    # Halves go to the even level (rint). Rounded up they spread over more levels, and EN is 3 % higher.
    records = [
        PairRecord(stem, evaluate(np.rint((a.astype(float) + b) / 2).astype(np.uint8), a, b))
        for stem, (a, b) in tno.items()
    ]
    assert mean(records) == pytest.approx(TNO_AVERAGE, rel=0.002)


def test_copies(tno: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    # A copy holds all of one source's information, and 4 % of the other's.
    pairs = list(tno.values())
    infrared = np.mean([1 + visual_information_fidelity(visible, copy) for copy, visible in pairs])
    visible = np.mean([1 + visual_information_fidelity(infrared, copy) for infrared, copy in pairs])
    assert [infrared, visible] == pytest.approx([1.04, 1.04], abs=0.01)
