"""Pairs made more varied than their data set: other exposures and contrasts of each source, finer detail."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from refusion.training.data import PairSource
from refusion.training.sampling import generator

VARIATION = 31
"""Apart from the seeds of crops and of synthetic pairs."""

GAMMA_SPREAD, CONTRAST_SPREAD, BRIGHTNESS_SPREAD = 0.6, 0.35, 0.15
"""Standard deviations at strength 1: of log gamma, of log contrast around mid gray, of an added offset."""
CHANGED_SHARE = 0.5


class VariedPairs:
    """Pairs of another source, varied; how is fixed by the seed.

    A network that has seen one camera alone follows the visible source where another camera's is dark, and
    loses fine texture: photometric changes and zoom stand for other cameras.
    """

    def __init__(self, pairs: PairSource, *, photometric: float, zoom_out: float) -> None:
        """Take the source.

        Args:
            pairs: Where the pairs come from.
            photometric: Strength of the changes of gamma, contrast and brightness, which half of all source
                images get, each its own; 0: none.
            zoom_out: Share of mini-batches that are drawn at twice the side and halved.
        """
        self.pairs, self.photometric, self.zoom_out = pairs, photometric, zoom_out

    def draw(self, size: int, patch_px: int, seed: tuple[int, ...]) -> Tensor:
        """Return the pairs of a mini-batch, as PairSource says."""
        random = generator(*seed, VARIATION)
        if random.random() < self.zoom_out:
            drawn = F.avg_pool2d(self.pairs.draw(size, 2 * patch_px, seed), 2)
        else:
            drawn = self.pairs.draw(size, patch_px, seed)
        return self._recorded_otherwise(drawn, random) if self.photometric else drawn

    def _recorded_otherwise(self, pairs: Tensor, random: np.random.Generator) -> Tensor:
        shape = (*pairs.shape[:2], 1, 1)
        strength = self.photometric * (random.random(shape) < CHANGED_SHARE)
        spreads = (GAMMA_SPREAD, CONTRAST_SPREAD, BRIGHTNESS_SPREAD)
        changes = (strength * spread * random.standard_normal(shape) for spread in spreads)
        log_gamma, log_contrast, offset = (
            torch.from_numpy(change.astype(np.float32)).to(pairs.device, non_blocking=True)
            for change in changes
        )
        curved = pairs.clamp(0, 1) ** log_gamma.exp()
        return (0.5 + (curved - 0.5) * log_contrast.exp() + offset).clamp(0, 1)


def with_variation(pairs: PairSource, *, photometric: float, zoom_out: float) -> PairSource:
    """Return the pairs varied; the pairs themselves where nothing is asked for."""
    if photometric == 0 and zoom_out == 0:
        return pairs
    return VariedPairs(pairs, photometric=photometric, zoom_out=zoom_out)
