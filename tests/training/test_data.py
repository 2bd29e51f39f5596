from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from refusion import InputError, Task
from refusion.files import write_image
from refusion.training.data import PairSet, load_pairs


def test_a_batch_holds_each_pair_in_both_orders(pairs: PairSet) -> None:
    batch = pairs.batch(3, 16, (0, 1, 2))
    assert batch.sources.shape == batch.targets.shape == (6, 2, 16, 16)
    torch.testing.assert_close(batch.sources[3:], batch.sources[:3].flip(1))
    torch.testing.assert_close(batch.targets[3:], batch.sources[:3])


def test_batches_depend_on_the_seed_alone(pairs: PairSet) -> None:
    first, again = pairs.batch(4, 16, (0, 1, 2)), pairs.batch(4, 16, (0, 1, 2))
    assert torch.equal(first.sources, again.sources)
    assert not torch.equal(first.sources, pairs.batch(4, 16, (0, 1, 3)).sources)


def test_validation_pairs_are_held_out(pairs: PairSet) -> None:
    training, validation = pairs.split(4, seed=0)
    assert len(validation.names) == 4
    assert set(training.names) | set(validation.names) == set(pairs.names)
    assert not set(training.names) & set(validation.names)
    with pytest.raises(InputError, match="12 pairs are too few to hold 12 out"):
        pairs.split(12, seed=0)


@pytest.mark.parametrize("cached", [False, True])
def test_all_mistakes_of_a_folder_are_reported_at_once(cached: bool, tmp_path: Path) -> None:
    for folder in ("ir", "vis"):
        (tmp_path / folder).mkdir()
        for name, shape in (("good", (40, 40)), ("small", (20, 40)), ("text", (40, 40)), ("size", (40, 40))):
            write_image(tmp_path / folder / f"{name}.png", np.zeros(shape, np.uint8))
    write_image(tmp_path / "ir" / "alone.png", np.zeros((40, 40), np.uint8))
    write_image(tmp_path / "vis" / "size.png", np.zeros((50, 40), np.uint8), force=True)
    (tmp_path / "vis" / "text.png").write_text("no image")
    with pytest.raises(InputError) as caught:
        load_pairs(tmp_path, Task.ivif, 32, cache=tmp_path / "cache" if cached else None)
    lines = str(caught.value).splitlines()
    assert len(lines) == 5
    for name, reason in (
        ("ir/alone.png", "no partner"),
        ("vis/text.png", "not an image"),
        ("ir/small.png", "40x20, smaller than a patch of 32"),
        ("vis/size.png", "is 40x50"),
    ):
        assert any(name in line and reason in line for line in lines), name


def test_a_folder_without_a_single_pair(tmp_path: Path) -> None:
    for name in ("ir/1.png", "vis/2.png"):
        (tmp_path / name).parent.mkdir()
        write_image(tmp_path / name, np.zeros((40, 40), np.uint8))
    with pytest.raises(InputError, match="no two images in .* are a pair:\n.*1.png has no partner"):
        load_pairs(tmp_path, Task.ivif, 32)


def test_pairs_are_the_luma_of_the_files_unrounded(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    images = {"ir": random.integers(256, size=(20, 30)), "vis": random.integers(256, size=(20, 30, 3))}
    for folder, image in images.items():
        (tmp_path / folder).mkdir()
        write_image(tmp_path / folder / "1.png", image.astype(np.uint8))
    (pair,) = load_pairs(tmp_path, Task.ivif, 16)
    # Gray levels are exact; luma is kept to a fraction of a gray level.
    np.testing.assert_array_equal(pair[0], images["ir"].astype(np.float32) / np.float32(255))
    expected = images["vis"] @ np.array((0.114, 0.587, 0.299)) / 255
    assert np.abs(pair[1] - expected).max() < 1 / 255 / 400
