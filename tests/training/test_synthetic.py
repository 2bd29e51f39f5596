"""Synthetic pairs among the real ones of a mini-batch."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from refusion import InputError, Task, UsageError
from refusion.files import write_image
from refusion.training.batches import BatchLoader
from refusion.training.data import PairSet
from refusion.training.synthetic import MAKERS, MixedPairs, sharper, well_exposed, with_synthetic
from refusion.training.synthetic_focus import defocused_pair

TASKS = [Task.mfif, Task.meif]


@pytest.mark.parametrize("task", TASKS)
def test_a_share_is_synthetic_and_the_rest_is_untouched(task: Task, pairs: PairSet) -> None:
    mixed = MixedPairs(pairs, MAKERS[task], 0.5)
    synthetic = 0
    for step in range(20):
        real, drawn = pairs.draw(4, 16, (0, 3, step)), mixed.draw(4, 16, (0, 3, step))
        synthetic += sum(not torch.equal(a, b) for a, b in zip(real, drawn, strict=True))
        assert drawn.shape == real.shape
        assert 0 <= float(drawn.min()) <= float(drawn.max()) <= 1
        assert torch.equal(drawn, mixed.draw(4, 16, (0, 3, step)))
    assert 25 <= synthetic <= 55


def test_all_of_a_batch_may_be_synthetic_and_differ(pairs: PairSet) -> None:
    drawn = MixedPairs(pairs, MAKERS[Task.meif], 1.0).draw(4, 32, (0, 1, 0))
    assert len({pair.numpy().tobytes() for pair in drawn}) == 4
    # The images are 40x48: less than a patch with its margin.
    assert (drawn[:, 0].mean((1, 2)) < drawn[:, 1].mean((1, 2))).all()


def test_workers_make_the_same_pairs(pairs: PairSet) -> None:
    mixed = MixedPairs(pairs, MAKERS[Task.mfif], 0.5)
    steps = [(1, n) for n in range(4)]
    expected = list(BatchLoader(mixed, size=2, patch_px=16, seed=0).batches(steps))
    found = list(BatchLoader(mixed, size=2, patch_px=16, seed=0, workers=1).batches(steps))
    assert all(torch.equal(a.sources, b.sources) for a, b in zip(found, expected, strict=True))


def test_the_sharper_source_is_taken_at_each_place() -> None:
    noise = cv2.GaussianBlur(np.random.default_rng(0).random((96, 96), np.float32), (0, 0), 1)
    foreground = np.zeros((96, 96), np.float32)
    foreground[:, :48] = 1
    pair = defocused_pair(noise, foreground, far_radius_px=4, near_radius_px=4)
    errors = [float(np.abs(image - noise).mean()) for image in (sharper(pair), *pair)]
    assert errors[0] < 0.3 * min(errors[1:])


def test_a_fused_exposure_lies_between_and_keeps_both_ends() -> None:
    scene = np.tile(np.linspace(0, 1, 96, dtype=np.float32), (96, 1))
    under, over = (3 * scene - 2).clip(0, 1), (3 * scene).clip(0, 1)
    fused = well_exposed(np.stack((under, over)))
    assert fused.dtype == np.float32
    assert under.mean() < fused.mean() < over.mean()
    for part in (slice(4, 28), slice(68, 92)):
        assert np.ptp(fused[48, part]) > 0.2


def test_images_of_a_folder_replace_the_pairs(pairs: PairSet, tmp_path: Path) -> None:
    (tmp_path / "images" / "inner").mkdir(parents=True)
    black = np.zeros((40, 40), np.uint8)
    write_image(tmp_path / "images" / "inner" / "1.png", black)
    mixed = with_synthetic(pairs, Task.meif, 1.0, tmp_path / "images", 16, cache=tmp_path / "cache")
    assert float(mixed.draw(2, 16, (0, 1, 0)).max()) < 0.05
    write_image(tmp_path / "images" / "2.png", black[:10])
    with pytest.raises(InputError, match="2.png is 40x10, smaller than a patch of 16 pixels"):
        with_synthetic(pairs, Task.meif, 1.0, tmp_path / "images", 16)


def test_what_cannot_be_made(pairs: PairSet, tmp_path: Path) -> None:
    assert with_synthetic(pairs, Task.ivif, 0, None, 16) is pairs
    with pytest.raises(UsageError, match="made for mfif and meif, not for ivif; leave out synthetic=0.5"):
        with_synthetic(pairs, Task.ivif, 0.5, None, 16)
    with pytest.raises(InputError, match=r"there are no images in .* \(known: .bmp"):
        with_synthetic(pairs, Task.mfif, 0.5, tmp_path, 16)
    with pytest.raises(InputError, match="there is no folder"):
        with_synthetic(pairs, Task.mfif, 0.5, tmp_path / "none", 16)
