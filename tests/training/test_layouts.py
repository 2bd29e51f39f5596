"""Each layout is built as the public set has it, with the names of its own files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from refusion import InputError, Task
from refusion.files import write_image
from refusion.training.layouts import find_pairs


def make(folder: Path, *files: str) -> Path:
    """Make images; one called NAME=LEVEL has that gray level."""
    for file in files:
        name, _, level = file.partition("=")
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, np.full((16, 16), int(level or 0), np.uint8))
    return folder


def found(folder: Path, task: Task) -> dict[str, tuple[str, str]]:
    pairs, mistakes = find_pairs(folder, task)
    assert not mistakes
    return {
        name: (a.relative_to(folder).as_posix(), b.relative_to(folder).as_posix()) for name, a, b in pairs
    }


@pytest.mark.parametrize(
    ("task", "files", "expected"),
    [
        pytest.param(
            Task.ivif,
            [
                "train/ir/00001D.png",
                "train/vi/00001D.png",
                "test/ir/2.png",
                "test/vi/2.png",
                "detection/ir/1.png",
            ],
            {"00001D": ("train/ir/00001D.png", "train/vi/00001D.png")},
            id="MSRS",
        ),
        pytest.param(
            Task.ivif,
            ["cropinfrared/FLIR_1.jpg", "crop_LR_visible/FLIR_1.jpg", "crop_HR_visible/FLIR_1.jpg"],
            {"FLIR_1": ("cropinfrared/FLIR_1.jpg", "crop_LR_visible/FLIR_1.jpg")},
            id="RoadScene",
        ),
        pytest.param(
            Task.ivif,
            ["M3FD_Fusion/Ir/00000.png", "M3FD_Fusion/Vis/00000.png"],
            {"00000": ("M3FD_Fusion/Ir/00000.png", "M3FD_Fusion/Vis/00000.png")},
            id="M3FD",
        ),
        pytest.param(
            Task.ivif,
            [
                f"{source}/{name}.jpg"
                for source in ("infrared", "visible")
                for name in ("train/010001", "test/190001")
            ],
            {"010001": ("infrared/train/010001.jpg", "visible/train/010001.jpg")},
            id="LLVIP",
        ),
        pytest.param(
            Task.ivif,
            ["IR1.png", "VIS1.png", "IR12.png", "VIS12.png"],
            {"1": ("IR1.png", "VIS1.png"), "12": ("IR12.png", "VIS12.png")},
            id="TNO, one folder",
        ),
        pytest.param(
            Task.ivif,
            ["ir/IR1.png", "vis/VIS1.png"],
            {"1": ("ir/IR1.png", "vis/VIS1.png")},
            id="two folders, tagged names",
        ),
        pytest.param(
            Task.mif,
            [
                f"{kind}-MRI/{split}/{source}/16003.png"
                for kind in ("CT", "SPECT")
                for split in ("train", "test")
                for source in (kind, "MRI")
            ],
            {
                "CT-MRI/train/16003": ("CT-MRI/train/CT/16003.png", "CT-MRI/train/MRI/16003.png"),
                "SPECT-MRI/train/16003": ("SPECT-MRI/train/SPECT/16003.png", "SPECT-MRI/train/MRI/16003.png"),
            },
            id="Harvard",
        ),
        pytest.param(
            Task.mfif,
            ["lytro-01-A.jpg", "lytro-01-B.jpg", "lytro-02-A.jpg", "lytro-02-B.jpg"],
            {f"lytro-0{i}": (f"lytro-0{i}-A.jpg", f"lytro-0{i}-B.jpg") for i in (1, 2)},
            id="Lytro",
        ),
        pytest.param(
            Task.mfif,
            [f"input/{name}/{name}_{side}.jpg" for name in ("books", "tsai_01") for side in "AB"]
            + ["fused_images/books_CNN.jpg"],
            {
                f"input/{n}/{n}": (f"input/{n}/{n}_A.jpg", f"input/{n}/{n}_B.jpg")
                for n in ("books", "tsai_01")
            },
            id="MFIFB",
        ),
        pytest.param(
            Task.mfif,
            ["imageA/0001.png", "imageB/0001.png", "Fusion/0001.png"],
            {"0001": ("imageA/0001.png", "imageB/0001.png")},
            id="RealMFF",
        ),
        pytest.param(
            Task.meif,
            [
                "input/Cave/Cave_A.png=200",
                "input/Cave/cave1.png=20",
                "input/Land/1.jpg=30",
                "input/Land/2.jpg=220",
            ],
            {
                "input/Cave/Cave": ("input/Cave/cave1.png", "input/Cave/Cave_A.png"),
                "input/Land/Land": ("input/Land/1.jpg", "input/Land/2.jpg"),
            },
            id="MEFB",
        ),
        pytest.param(
            Task.meif,
            # 2 and 10 tell numbers from strings: as strings 10 would be the first.
            [f"Dataset_Part1/4/{n}.JPG={20 * n}" for n in (2, 3, 9, 10)]
            + [f"Dataset_Part2/1/{n}.JPG={250 - 60 * n}" for n in (1, 2, 3)]
            + ["Dataset_Part1/Label/4.JPG", "Dataset_Part2/label/1.JPG"],
            {
                "Dataset_Part1/4/4": ("Dataset_Part1/4/2.JPG", "Dataset_Part1/4/10.JPG"),
                "Dataset_Part2/1/1": ("Dataset_Part2/1/3.JPG", "Dataset_Part2/1/1.JPG"),
            },
            id="SICE",
        ),
        pytest.param(Task.meif, ["A/x.png", "B/x.jpg"], {"x": ("A/x.png", "B/x.jpg")}, id="generic"),
    ],
)
def test_public_layouts(
    task: Task, files: list[str], expected: dict[str, tuple[str, str]], tmp_path: Path
) -> None:
    assert found(make(tmp_path, *files), task) == expected


def test_a_test_folder_is_used_only_where_it_is_named(tmp_path: Path) -> None:
    make(tmp_path, "test/near/1.png", "test/far/1.png")
    with pytest.raises(
        InputError, match=r"holds no pairs for mfif: no folders near/ and far/ or a/ and b/ were"
    ):
        find_pairs(tmp_path, Task.mfif)
    assert list(found(tmp_path / "test", Task.mfif)) == ["1"]


def test_files_without_a_pair_are_listed(tmp_path: Path) -> None:
    make(tmp_path, "near/1.png", "far/1.png", "near/2.png", "far/3.png", "near/1.jpg")
    pairs, mistakes = find_pairs(tmp_path, Task.mfif)
    assert [pair.name for pair in pairs] == ["1"]
    assert mistakes == (
        f"{tmp_path}/near/1.png has the same name as 1.jpg: which of them belongs to a pair?",
        f"{tmp_path}/near/2.png has no partner of the same name",
        f"{tmp_path}/far/3.png has no partner of the same name",
    )


def test_mistakes_among_tagged_files_and_scenes(tmp_path: Path) -> None:
    make(tmp_path / "lytro", "x-A.png", "x-B.png", "y-A.png", "x-C.png")
    assert find_pairs(tmp_path / "lytro", Task.mfif).mistakes == (
        f"{tmp_path}/lytro/y-A.png has no partner of the same name",
        f"{tmp_path}/lytro/x-C.png has the name of neither source",
    )
    make(tmp_path / "sice", "1/1.png", "1/2.png=9", "2/1.png", "3/a.png", "3/b.png")
    (tmp_path / "sice/3/b.png").write_text("no image")
    found_pairs = find_pairs(tmp_path / "sice", Task.meif)
    assert [pair.name for pair in found_pairs.pairs] == ["1/1"]
    assert found_pairs.mistakes == (
        f"{tmp_path}/sice/2 holds one exposure of its scene; two or more are needed",
        f"{tmp_path}/sice/3/b.png is not an image, or is damaged",
    )


def test_ambiguous_empty_and_missing_folders(tmp_path: Path) -> None:
    make(tmp_path / "both", "ir/1.png", "vi/1.png", "vis/1.png")
    with pytest.raises(InputError, match="both holds more than one folder for one source: vi, vis; keep one"):
        find_pairs(tmp_path / "both", Task.ivif)
    make(tmp_path / "empty", "ir/1.png")
    (tmp_path / "empty/vis").mkdir()
    with pytest.raises(InputError, match=r"there are no images in .*/vis \(known: .bmp"):
        find_pairs(tmp_path / "empty", Task.ivif)
    with pytest.raises(InputError, match="there is no folder"):
        find_pairs(tmp_path / "none", Task.ivif)
    # A folder of pictures is not a scene by itself: only folders inside the data folder are.
    with pytest.raises(InputError, match=r"nor a folder of exposures for each scene were found"):
        find_pairs(make(tmp_path / "pictures", "p.png", "q.png"), Task.meif)


@pytest.mark.parametrize(
    ("task", "folder", "count"),
    [(Task.ivif, "ivif", 171), (Task.mif, "mif", 695), (Task.mfif, "mff", 60), (Task.meif, "mef/test", 20)],
)
def test_real_data(task: Task, folder: str, count: int, shared: Path) -> None:
    pairs, mistakes = find_pairs(shared / "data" / folder, task)
    assert (len(pairs), mistakes) == (count, ())
    assert len({pair.name for pair in pairs}) == count
