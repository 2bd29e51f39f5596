from __future__ import annotations

import pytest
import torch

from refusion.training.data import PairSet
from refusion.training.variation import with_variation

SEED = (0, 3, 7)


def test_nothing_asked_for_changes_nothing(pairs: PairSet) -> None:
    assert with_variation(pairs, photometric=0, zoom_out=0) is pairs


def test_half_of_the_sources_are_recorded_otherwise(pairs: PairSet) -> None:
    plain = pairs.draw(64, 8, SEED)
    varied = with_variation(pairs, photometric=1, zoom_out=0).draw(64, 8, SEED)
    changed = ((plain - varied).abs() > 1e-3).flatten(2).any(2)
    assert 0.3 < float(changed.float().mean()) < 0.7
    assert float(varied.min()) >= 0
    assert float(varied.max()) <= 1
    # Each plane keeps the order of its gray levels, other than where it is clipped.
    before, after = (x[changed].flatten(1) for x in (plain, varied))
    order = before.argsort(1)
    assert bool((after.gather(1, order).diff(dim=1) >= -1e-6).all())


def test_zoomed_out_patches_are_means_of_larger_ones(pairs: PairSet) -> None:
    zoomed = with_variation(pairs, photometric=0, zoom_out=1).draw(3, 8, SEED)
    large = pairs.draw(3, 16, SEED)
    assert torch.allclose(zoomed, large.unfold(2, 2, 2).unfold(3, 2, 2).mean((-2, -1)), atol=1e-6)


@pytest.mark.parametrize("zoom_out", [0.0, 0.5])
def test_the_seed_fixes_the_variation(pairs: PairSet, zoom_out: float) -> None:
    source = with_variation(pairs, photometric=0.5, zoom_out=zoom_out)
    assert torch.equal(source.draw(2, 8, SEED), source.draw(2, 8, SEED))
    assert not torch.equal(source.draw(2, 8, SEED), source.draw(2, 8, (0, 3, 8)))
