"""Validation: held-out pairs fused as the runtime would fuse stills, measured by the fusion metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from refusion import ops
from refusion.metrics import evaluate
from refusion.tasks import Chroma
from refusion.training.distributed import ALONE, Processes

METRICS = ("EN", "SD", "SF", "AG", "MI", "SCD", "VIF", "Qabf", "SSIM")

SCORED = ("SCD", "VIF", "Qabf", "SSIM")
"""What the score is made of: neither stretching contrast nor copying a source raises all of them."""

LEAST_SCORED = 1e-3
"""A metric below this counts as this, so that the geometric mean of a poor start exists."""

PANEL_PX = 256


def score(metrics: Mapping[str, float]) -> float:
    """Return the geometric mean of the scored metrics; higher is better."""
    return math.exp(math.fsum(math.log(max(metrics[name], LEAST_SCORED)) for name in SCORED) / len(SCORED))


def centre_crop(pair: NDArray[np.float32], side_px: int) -> NDArray[np.float32]:
    """Return the centre of a pair, (2, H, W), with sides of at most side_px."""
    top, left = (max(0, (size - side_px) // 2) for size in pair.shape[1:])
    return pair[:, top : top + side_px, left : left + side_px]


@dataclass(frozen=True)
class Validation:
    """The held-out pairs, and how they are fused."""

    pairs: Sequence[NDArray[np.float32]]
    """Luma planes, (2, H, W) in [0, 1], no side shorter than 41 pixels."""
    longest_px: int
    """Longest side that is fused: of a larger image the centre."""
    processes: Processes = ALONE

    def metrics(self, fusion: nn.Module) -> dict[str, float]:
        """Return the mean of each metric over all pairs, and the `score`.

        The processes of a run share the pairs; all get the result.
        """
        processes = self.processes
        sums = torch.zeros(len(METRICS) + 1, dtype=torch.float64)
        for index in range(processes.rank, len(self.pairs), processes.count):
            values = self._evaluate(fusion, centre_crop(self.pairs[index], self.longest_px))
            sums += torch.tensor([*(values[name] for name in METRICS), 1.0], dtype=torch.float64)
        joint = sums.to(processes.device)
        processes.average([joint])
        *totals, count = joint.tolist()
        means = {name: total / count for name, total in zip(METRICS, totals, strict=True)}
        return {**means, "score": score(means)}

    def _evaluate(self, fusion: nn.Module, pair: NDArray[np.float32]) -> dict[str, float]:
        with torch.no_grad():
            fused = fusion(self._sources(pair)).float()[0, 0].cpu().numpy()
        a, b = np.rint(255 * pair).astype(np.uint8)
        picture = ops.postprocess(fused, a, b, chroma=Chroma.NONE, value_range=ops.value_range(fused))
        return evaluate(picture, a, b)

    def panels(self, modules: nn.ModuleDict) -> dict[str, NDArray[np.float32]]:
        """Return images of the first pair by name, (H, W) in [0, 1]: what goes in and out of the modules."""
        sources = self._sources(centre_crop(self.pairs[0], PANEL_PX))
        with torch.no_grad():
            fused = modules["fusion"](sources)
            planes: dict[str, Tensor] = {
                "1_source_a": sources[0, 0],
                "2_source_b": sources[0, 1],
                "3_fused": fused[0, 0],
            }
            if "proposal" in modules:
                weights = modules["proposal"](sources)
                planes["4_intensity_weight_a"] = weights.intensity[0, 0]
                planes["5_gradient_weight_a"] = weights.gradient[0, 0]
            if "reconstruction" in modules:
                reconstructed = modules["reconstruction"](fused)
                planes["6_reconstructed_a"] = reconstructed[0, 0]
                planes["7_reconstructed_b"] = reconstructed[0, 1]
        return {name: plane.float().cpu().numpy() for name, plane in planes.items()}

    def _sources(self, pair: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(pair))[None].to(self.processes.device)
