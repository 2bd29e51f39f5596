"""SF and AG against values derived by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from refusion.errors import InputError
from refusion.metrics.gradients import average_gradient, spatial_frequency


@pytest.mark.parametrize(
    ("levels", "frequency"),
    [
        ([[9, 9], [9, 9]], 0.0),
        # Horizontal 3 and -4, vertical 4 and -3: sqrt(12.5 + 12.5).
        ([[0, 3], [4, 0]], 5.0),
        # Four horizontal differences of 1 (not six pixels), none vertical.
        ([[0, 1, 2], [0, 1, 2]], 1.0),
        ([[0, 255], [255, 0]], 255 * math.sqrt(2)),
    ],
)
def test_spatial_frequency(levels: list[list[int]], frequency: float) -> None:
    assert spatial_frequency(np.array(levels, np.uint8)) == pytest.approx(frequency)


@pytest.mark.parametrize(
    ("levels", "gradient"),
    [
        ([[9, 9], [9, 9]], 0.0),
        ([[0, 2, 4], [0, 2, 4]], math.sqrt(2)),
        # Gx = 3, 3 and -4, -4; Gy = 4, -3 and 4, -3: Gx^2 + Gy^2 = 9 + 16, 9 + 9, 16 + 16 and 16 + 9.
        ([[0, 3], [4, 0]], (2 * math.sqrt(12.5) + 3 + 4) / 4),
        # One-sided at the borders, central inside: Gx = 0, 2, 4.
        ([[0, 0, 4], [0, 0, 4]], math.sqrt(2)),
        ([[200, 0], [200, 0]], 200 / math.sqrt(2)),
    ],
)
def test_average_gradient(levels: list[list[int]], gradient: float) -> None:
    assert average_gradient(np.array(levels, np.uint8)) == pytest.approx(gradient)


@pytest.mark.parametrize("metric", [spatial_frequency, average_gradient])
def test_transposition_changes_nothing(metric) -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 31), dtype=np.uint8)
    assert metric(image.T) == pytest.approx(metric(image))


@pytest.mark.parametrize(("metric", "name"), [(spatial_frequency, "SF"), (average_gradient, "AG")])
@pytest.mark.parametrize(("shape", "size"), [((1, 8), "8x1"), ((8, 1), "1x8")])
def test_too_small(metric, name: str, shape: tuple[int, int], size: str) -> None:
    with pytest.raises(InputError, match=f"{name} needs images of at least 2x2 pixels, this one is {size}"):
        metric(np.zeros(shape, np.uint8))
