"""Small modules and data for the training tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed")

import numpy as np
import torch

from refusion.files import write_image
from refusion.training.data import Batch, PairSet


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    """On tensors this small a second thread costs more than it gives."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def pairs() -> PairSet:
    """Twelve small pairs of smooth random planes."""
    random = np.random.default_rng(0)
    shape = (12, 2, 44, 48)
    planes = random.random(shape).cumsum(axis=2).cumsum(axis=3)
    planes -= planes.min(axis=(2, 3), keepdims=True)
    planes /= planes.max(axis=(2, 3), keepdims=True)
    return PairSet.from_arrays([f"{i:02d}" for i in range(12)], list(planes.astype(np.float32)))


@pytest.fixture
def data(pairs: PairSet, tmp_path: Path) -> Path:
    """The pairs as a data folder with ir and vis."""
    for index, folder in enumerate(("ir", "vis")):
        (tmp_path / "data" / folder).mkdir(parents=True)
        for name, pair in zip(pairs.names, pairs, strict=True):
            write_image(tmp_path / "data" / folder / f"{name}.png", (255 * pair[index]).astype("uint8"))
    return tmp_path / "data"


@pytest.fixture
def batches() -> tuple[Batch, Batch]:
    """Two tiny float64 mini-batches."""
    generator = torch.Generator().manual_seed(0)
    return tuple(
        Batch.from_pairs(torch.rand(1, 2, 10, 10, generator=generator, dtype=torch.float64)) for _ in range(2)
    )  # type: ignore[return-value]
