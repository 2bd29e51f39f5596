from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")

from refusion import InputError, Task, UsageError
from refusion.benchmarks.gpu.pack import main, pack, unpacked
from refusion.files import write_image
from refusion.training.layouts import find_pairs


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two pairs for training and one for tests, which stays behind."""
    random = np.random.default_rng(0)
    for split, names in (("train", "ab"), ("test", "c")):
        for folder in ("ir", "vis"):
            for name in names:
                path = tmp_path / "data" / split / folder / f"{name}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                write_image(path, random.integers(0, 256, (20, 24), np.uint8))
    return tmp_path / "data"


def test_packed_pairs_are_the_same_pairs(data: Path, tmp_path: Path) -> None:
    packed = pack(Task.ivif, data, tmp_path)
    again = pack(Task.ivif, data, tmp_path / "again")
    assert packed.read_bytes() == again.read_bytes()
    with unpacked(Task.ivif, tmp_path) as folder:
        found, expected = find_pairs(folder, Task.ivif).pairs, find_pairs(data, Task.ivif).pairs
        assert [pair.name for pair in found] == [pair.name for pair in expected] == ["a", "b"]
        for ours, theirs in zip(found, expected, strict=True):
            assert ours.a.read_bytes() == theirs.a.read_bytes()
            assert ours.b.read_bytes() == theirs.b.read_bytes()
        assert not list(folder.rglob("c.png"))
    assert not folder.exists()


def test_what_cannot_be_packed_is_said(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        pytest.raises(InputError, match=r"there is no .*mif.tar: pack the data with .* mif=DIR"),
        unpacked(Task.mif, tmp_path),
    ):
        pass
    with pytest.raises(UsageError, match="'ivif' names no data: write TASK=DIR"):
        main(["ivif"])
    monkeypatch.setattr("refusion.benchmarks.gpu.pack.LARGEST_MIB", 0)
    with pytest.raises(InputError, match="more than the 0 that can travel: pack a part"):
        pack(Task.ivif, data, tmp_path)
    (data / "train" / "ir" / "b.png").unlink()
    with pytest.raises(InputError, match="cannot be packed"):
        pack(Task.ivif, data, tmp_path)
