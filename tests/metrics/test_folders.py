"""Evaluation of folders, on image files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from refusion.errors import InputError
from refusion.metrics import PairRecord, evaluate, evaluate_folders, mean

SHAPE = (48, 64)


def write(path: Path, seed: int, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    image = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    assert cv2.imwrite(str(path), image)
    return image


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Three folders with the pairs 01, 02 and 03, all of one size and readable."""
    paths = tmp_path / "ir", tmp_path / "vis", tmp_path / "fused"
    for number, folder in enumerate(paths):
        folder.mkdir()
        for pair in range(1, 4):
            write(folder / f"{pair:02}.png", seed=10 * number + pair)
    return paths


def test_each_pair_by_name(folders: tuple[Path, Path, Path]) -> None:
    ir, vis, fused = folders
    colour = write(fused / "02.bmp", seed=99, shape=(*SHAPE, 3))
    (fused / "02.png").unlink()
    records = evaluate_folders(ir, vis, fused)
    assert [record.name for record in records] == ["01", "02", "03"]
    a, b = (cv2.imread(str(folder / "02.png"), cv2.IMREAD_UNCHANGED) for folder in (ir, vis))
    assert records[1].values == evaluate(colour, a, b)


def test_folders_as_text(folders: tuple[Path, Path, Path]) -> None:
    assert len(evaluate_folders(*map(str, folders))) == 3


def test_progress(folders: tuple[Path, Path, Path]) -> None:
    calls: list[tuple[int, int]] = []
    evaluate_folders(*folders, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_all_problems_in_one_error(folders: tuple[Path, Path, Path]) -> None:
    ir, vis, fused = folders
    (vis / "01.png").unlink()
    (fused / "02.png").write_bytes(b"no image")
    write(fused / "03.png", seed=1, shape=(50, 60))
    write(fused / "04.png", seed=1)
    for folder in folders:
        write(folder / "05.png", seed=1, shape=(30, 64))
    calls: list[int] = []
    with pytest.raises(InputError) as caught:
        evaluate_folders(*folders, progress=lambda done, total: calls.append(done))
    message = str(caught.value)
    assert f"{ir} has no image for 04;" in message
    assert f"{vis} has no image for 01, 04;" in message
    assert f"{fused} has no image" not in message
    assert str(fused / "02.png") in message
    assert "different sizes: 03 (a 64x48, b 64x48, fused 60x50)" in message
    assert "smaller than 41x41: 05 (64x30)" in message
    assert "\n" not in message
    assert calls == [], "nothing is evaluated before all files are known to be good"


def test_long_lists_are_cut(folders: tuple[Path, Path, Path]) -> None:
    for number in range(30):
        write(folders[0] / f"more{number:02}.png", seed=number)
    with pytest.raises(InputError, match=r"has no image for more00, .*, more09 and 20 more;"):
        evaluate_folders(*folders)


def test_nothing_to_evaluate(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there are no images in"):
        evaluate_folders(tmp_path, tmp_path, tmp_path)


def test_mean() -> None:
    records = [PairRecord("x", {"EN": 1.0, "SD": 10.0}), PairRecord("y", {"EN": 2.0, "SD": 40.0})]
    assert mean(records) == {"EN": 1.5, "SD": 25.0}


def test_mean_of_nothing() -> None:
    with pytest.raises(InputError, match="no mean of no records"):
        mean([])
