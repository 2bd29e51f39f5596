from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from refusion.metrics import evaluate
from refusion.training.configuration import TrainingConfiguration
from refusion.training.data import PairSet
from refusion.training.steps import Steps
from refusion.training.validation import METRICS, Validation, centre_crop, score


class FirstSource(nn.Module):
    """Gives source a back, in half the range."""

    def forward(self, sources: Tensor) -> Tensor:
        return 0.25 + sources[:, :1] / 2


def test_the_score_is_the_geometric_mean_of_what_cannot_be_cheated() -> None:
    metrics = {"SCD": 1.6, "VIF": 0.8, "Qabf": 0.5, "SSIM": 1.2, "EN": 7.0}
    assert score(metrics) == pytest.approx((1.6 * 0.8 * 0.5 * 1.2) ** 0.25)
    assert score({**metrics, "EN": 1.0}) == score(metrics)
    assert 0 < score({**metrics, "SCD": -0.2}) < score({**metrics, "SCD": 0.1}) < score(metrics)


def test_pairs_are_measured_as_the_runtime_fuses_stills(pairs: PairSet) -> None:
    found = Validation(pairs, 100).metrics(FirstSource())
    assert list(found) == [*METRICS, "score"]
    means = dict.fromkeys(METRICS, 0.0)
    for pair in pairs:
        a, b = np.rint(255 * pair).astype(np.uint8)
        low, high = pair[0].min(), pair[0].max()
        # The range is stretched to the whole, which halving it does not change.
        stretched = np.rint(255 * (pair[0] - low) / (high - low)).astype(np.uint8)
        for name in METRICS:
            means[name] += evaluate(stretched, a, b)[name] / len(pairs)
    for name in METRICS:
        assert found[name] == pytest.approx(means[name], rel=2e-3, abs=2e-3), name
    assert found["score"] == score(found)


def test_of_a_large_image_the_centre_is_measured() -> None:
    pair = np.arange(2 * 5 * 8, dtype=np.float32).reshape(2, 5, 8)
    np.testing.assert_array_equal(centre_crop(pair, 4), pair[:, 0:4, 2:6])
    assert centre_crop(pair, 6).shape == (2, 5, 6)
    assert centre_crop(pair, 9).shape == pair.shape


def test_a_constant_result_has_a_poor_score_but_a_finite_one(pairs: PairSet) -> None:
    class Gray(nn.Module):
        def forward(self, sources: Tensor) -> Tensor:
            return torch.full_like(sources[:, :1], 0.5)

    values = Validation(pairs, 100).metrics(Gray())
    assert all(math.isfinite(value) for value in values.values())
    assert values["score"] < 0.1 * Validation(pairs, 100).metrics(FirstSource())["score"]


def test_panels_show_what_goes_in_and_out(pairs: PairSet) -> None:
    steps = Steps(TrainingConfiguration())
    panels = Validation(pairs, 100).panels(steps.modules)
    assert {name: image.shape for name, image in panels.items()} == dict.fromkeys(
        (
            "1_source_a",
            "2_source_b",
            "3_fused",
            "4_intensity_weight_a",
            "5_gradient_weight_a",
            "6_reconstructed_a",
            "7_reconstructed_b",
        ),
        (44, 48),
    )
    np.testing.assert_array_equal(panels["2_source_b"], pairs[0][1])
    assert all(image.min() >= 0 and image.max() <= 1 for image in panels.values())
