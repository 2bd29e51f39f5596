"""Mini-batches are a pure function of (seed, stream, step): workers, devices and processes change nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from refusion import Task
from refusion.files import write_image
from refusion.training.batches import BatchLoader, resident
from refusion.training.data import Batch, PairSet, load_pairs

STEPS = [(1, 0), (2, 0), (1, 1), (3, 7)]
OPTIONS = {"size": 3, "patch_px": 16, "seed": 5}


def assert_equal(found: list[Batch], expected: list[Batch]) -> None:
    assert len(found) == len(expected)
    for batch, other in zip(found, expected, strict=True):
        assert torch.equal(batch.sources, other.sources)
        assert torch.equal(batch.targets, other.targets)


def test_a_loader_gives_the_batches_of_its_steps(pairs: PairSet) -> None:
    loader = BatchLoader(pairs, **OPTIONS)
    expected = [pairs.batch(3, 16, (5, *step)) for step in STEPS]
    assert_equal(list(loader.batches(STEPS)), expected)
    assert_equal(list(loader.batches(STEPS[2:])), expected[2:])


@pytest.fixture
def saved(pairs: PairSet, tmp_path: Path) -> Path:
    for index, folder in enumerate(("ir", "vis")):
        (tmp_path / "data" / folder).mkdir(parents=True)
        for name, pair in zip(pairs.names, pairs, strict=True):
            write_image(tmp_path / "data" / folder / f"{name}.png", (255 * pair[index]).astype("uint8"))
    return tmp_path / "data"


@pytest.mark.parametrize("mapped", [False, True])
def test_workers_change_nothing(mapped: bool, pairs: PairSet, saved: Path, tmp_path: Path) -> None:
    if mapped:
        pairs = load_pairs(saved, Task.ivif, 16, cache=tmp_path / "cache")
        assert pairs.planes.path is not None
    expected = list(BatchLoader(pairs, **OPTIONS).batches(STEPS))
    loader = BatchLoader(pairs, **OPTIONS, workers=2)
    # Left before its end, as a run that diverges leaves it; then two whole passes by the same workers.
    next(loader.batches(STEPS))
    assert_equal(list(loader.batches(STEPS)), expected)
    assert_equal(list(loader.batches(STEPS[1:])), expected[1:])


def test_the_shares_of_all_processes_are_the_joint_batch(pairs: PairSet) -> None:
    (joint,) = BatchLoader(pairs, **{**OPTIONS, "size": 4}).batches(STEPS[:1])
    shares = [
        next(BatchLoader(pairs, **{**OPTIONS, "size": 4}, share=(rank, 2)).batches(STEPS[:1]))
        for rank in (0, 1)
    ]
    for share in shares:
        assert share.sources.shape == (4, 2, 16, 16)
    found = torch.stack([share.targets[:2] for share in shares], dim=1).flatten(0, 1)
    assert torch.equal(found, joint.targets[:4])


def test_pairs_on_a_device_give_the_same_batches(pairs: PairSet) -> None:
    moved = pairs.to("cpu")
    assert_equal([moved.batch(4, 16, (0, 1, 2))], [pairs.batch(4, 16, (0, 1, 2))])
    assert resident(pairs, torch.device("cpu")) is pairs


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_pairs_on_a_gpu_give_bitwise_the_same_batches(pairs: PairSet) -> None:
    on_gpu = resident(pairs, torch.device("cuda"))
    assert on_gpu.planes.flat.is_cuda
    expected = list(BatchLoader(pairs, **OPTIONS).batches(STEPS))
    found = list(BatchLoader(on_gpu, **OPTIONS, device="cuda").batches(STEPS))
    assert all(batch.sources.is_cuda for batch in found)
    assert_equal([Batch(*(t.cpu() for t in batch)) for batch in found], expected)
