"""Patches cut by index arithmetic, against NumPy's slices, turns and flips."""

from __future__ import annotations

import itertools
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from refusion.training.planes import ONE, Planes, to_fixed_point
from refusion.training.sampling import Crops, draw_crops, generator

SIZES = ((20, 33), (16, 16), (41, 17))


@pytest.fixture(params=[1, 2])
def planes(request: pytest.FixtureRequest) -> Planes:
    random = np.random.default_rng(0)
    return Planes.in_memory(
        [random.integers(ONE + 1, size=(request.param, *s), dtype=np.uint16) for s in SIZES]
    )


def cut(planes: Planes, crops: Crops) -> np.ndarray:
    patches = []
    for image, top, left, turns, flip in zip(*crops[:5], strict=True):
        patch = planes.image(image)[:, top : top + crops.patch_px, left : left + crops.patch_px]
        patch = np.rot90(patch, turns, axes=(1, 2))
        patches.append(patch[:, :, ::-1] if flip else patch)
    return np.stack(patches)


def test_every_turn_and_flip_equals_numpy(planes: Planes) -> None:
    rows = [
        (image, 3 * (image != 1), 1 * (image != 1), turns, flip)
        for image, turns, flip in itertools.product(range(3), range(4), range(2))
    ]
    crops = Crops(*np.array(rows).T, 16)
    found = planes.crops(crops)
    assert found.dtype == torch.float32
    np.testing.assert_array_equal(found.numpy(), cut(planes, crops))


def test_drawn_patches_lie_inside_and_reach_every_border(planes: Planes) -> None:
    crops = draw_crops(generator(0, 1), planes.sizes, 400, 16)
    np.testing.assert_array_equal(planes.crops(crops).numpy(), cut(planes, crops))
    for image, (height, width) in enumerate(SIZES):
        mine = crops.images == image
        assert (crops.tops[mine].min(), crops.tops[mine].max()) == (0, height - 16)
        assert (crops.lefts[mine].min(), crops.lefts[mine].max()) == (0, width - 16)
    assert len({(t, f) for t, f in zip(crops.turns, crops.flips, strict=True)}) == 8


def test_selected_images_are_views(planes: Planes) -> None:
    chosen = planes.select([2, 0])
    assert chosen.flat.data_ptr() == planes.flat.data_ptr()
    np.testing.assert_array_equal(chosen.image(0), planes.image(2))
    np.testing.assert_array_equal(chosen.region(1, 4, 5, 6, 7), planes.image(0)[:, 4:10, 5:12])


def test_gray_levels_are_exact_and_the_range_is_kept() -> None:
    levels = np.arange(256, dtype=np.float32).reshape(1, 16, 16)
    found = Planes.in_memory([to_fixed_point(levels, one=255)]).image(0)
    np.testing.assert_array_equal(found, levels / np.float32(255))
    values = np.linspace(0, 1, 1024, dtype=np.float32).reshape(1, 32, 32)
    found = Planes.in_memory([to_fixed_point(values, one=1)]).image(0)
    assert np.abs(found - values).max() <= 0.5 / ONE + 1e-7
    assert (found.min(), found.max()) == (0, 1)


def test_mapped_planes_are_pickled_by_path(planes: Planes, tmp_path: Path) -> None:
    path = tmp_path / "values.planes"
    planes.flat.numpy().tofile(path)
    mapped = Planes.mapped(path, planes.sizes, planes.channels)
    content = pickle.dumps(mapped)
    assert len(content) < path.stat().st_size / 2
    again = pickle.loads(content)
    for index in range(3):
        np.testing.assert_array_equal(again.image(index), planes.image(index))
    assert torch.equal(pickle.loads(pickle.dumps(planes)).flat, planes.flat)
