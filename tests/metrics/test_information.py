"""EN and MI against values derived by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from refusion.metrics.information import entropy, mutual_information


def plane(*rows: list[int]) -> np.ndarray:
    return np.array(rows, np.uint8)


@pytest.mark.parametrize(
    ("image", "bits"),
    [
        pytest.param(plane([7, 7], [7, 7]), 0.0, id="constant"),
        pytest.param(plane([0, 0], [255, 255]), 1.0, id="two levels alike"),
        pytest.param(plane([1, 2], [3, 4]), 2.0, id="four levels alike"),
        # 3/4 log2(4/3) + 1/4 log2(4) = 2 - 3/4 log2(3)
        pytest.param(plane([5, 5], [5, 6]), 2 - 0.75 * math.log2(3), id="three to one"),
        pytest.param(np.arange(256, dtype=np.uint8).reshape(16, 16), 8.0, id="all levels"),
    ],
)
def test_entropy(image: np.ndarray, bits: float) -> None:
    assert entropy(image) == pytest.approx(bits, abs=1e-12)


@pytest.mark.parametrize(
    ("x", "y", "nats"),
    [
        pytest.param(plane([0, 0, 1, 1]), plane([0, 1, 0, 1]), 0.0, id="independent"),
        pytest.param(plane([3, 3, 3, 3]), plane([0, 1, 0, 1]), 0.0, id="constant"),
        pytest.param(plane([0, 0, 1, 1]), plane([200, 200, 9, 9]), math.log(2), id="one-to-one"),
        # Joint: (0, 0) 1/2, (1, 0) 1/4, (1, 1) 1/4; margins 1/2, 1/2 and 3/4, 1/4.
        pytest.param(
            plane([0, 0, 1, 1]),
            plane([0, 0, 0, 1]),
            math.log(4 / 3) / 2 + math.log(2 / 3) / 4 + math.log(2) / 4,
            id="partial",
        ),
    ],
)
def test_mutual_information(x: np.ndarray, y: np.ndarray, nats: float) -> None:
    assert mutual_information(x, y) == pytest.approx(nats, abs=1e-12)
    assert mutual_information(y, x) == pytest.approx(nats, abs=1e-12)


def test_information_with_itself_is_entropy() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 50), dtype=np.uint8)
    assert mutual_information(image, image) == pytest.approx(entropy(image) * math.log(2))


def test_mutual_information_is_never_negative() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        rows = np.repeat(rng.integers(0, 256, (7, 1), dtype=np.uint8), 11, axis=1)
        columns = np.repeat(rng.integers(0, 256, (1, 11), dtype=np.uint8), 7, axis=0)
        assert 0 <= mutual_information(rows, columns) < 1e-12
