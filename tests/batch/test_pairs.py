"""Which files belong together."""

from __future__ import annotations

from pathlib import Path

import pytest

from refusion import InputError
from refusion.batch.folder import Folder
from refusion.batch.pairs import PairFiles, pairs_of_folders, pairs_of_list


def files(root: Path, *names: str) -> Folder:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return Folder(str(root))


def test_folders_are_matched_by_name_with_those_below(tmp_path: Path) -> None:
    a = files(tmp_path / "ir", "1.png", "day/1.bmp", "day/2.png", "notes.txt")
    b = files(tmp_path / "vis", "1.jpg", "day/1.png", "night/2.png")
    found = pairs_of_folders(a, b)
    assert found.pairs == (PairFiles("1", "1.png", "1.jpg"), PairFiles("day/1", "day/1.bmp", "day/1.png"))
    assert found.unmatched == (f"{tmp_path}/ir/day/2.png", f"{tmp_path}/vis/night/2.png")


def test_what_cannot_be_matched_is_an_error(tmp_path: Path) -> None:
    a = files(tmp_path / "ir", "1.png")
    with pytest.raises(InputError, match="there is no folder .*none"):
        pairs_of_folders(a, Folder(str(tmp_path / "none")))
    (tmp_path / "empty").mkdir()
    for url in (str(tmp_path / "empty"), "memory://none"):
        with pytest.raises(InputError, match=f"there are no images in {url}"):
            pairs_of_folders(a, Folder(url))
    with pytest.raises(InputError, match="no image of .*ir has the name"):
        pairs_of_folders(a, files(tmp_path / "vis", "2.png"))
    with pytest.raises(InputError, match=r"1.bmp and .*1.png have the same name"):
        pairs_of_folders(files(tmp_path / "ir", "1.bmp"), a)


def test_a_list_names_pairs_relative_to_itself(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("name,a,b\nnight/7,ir/1.png,vis/1.png\n,/data/2.png,s3://bucket/2.png\n")
    assert pairs_of_list(str(path)) == (
        PairFiles("night/7", f"{tmp_path}/ir/1.png", f"{tmp_path}/vis/1.png"),
        PairFiles("2", "/data/2.png", "s3://bucket/2.png"),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no column a and no column b: its first line must be a,b or a,b,name"),
        ("a,c\n1,2\n", "has no column b"),
        ("a,b\n", "holds no pairs"),
        ("a,b\n1.png,\n", "line 2: a pair needs both a and b"),
        ("a,b\n1.png\n", "line 2: a pair needs both a and b"),
        ("a,b\nx/1.png,1.png\ny/1.png,1.png\n", "two results would be named 1; give them a column name"),
        ("a,b,name\n1.png,1.png,../1\n", "'../1' is no name of a result below the output folder"),
        ("a,b,name\n1.png,1.png,/etc/1\n", "'/etc/1' is no name of a result"),
        ("a,b\n\xff\n", "line 2: a pair needs both a and b"),
    ],
)
def test_mistakes_in_a_list_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        pairs_of_list(str(path))
    assert message in str(caught.value)


def test_a_first_line_past_all_measure_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("a,b," + 200_000 * "c")
    with pytest.raises(InputError, match=r"pairs.csv, line \d: field larger than field limit"):
        pairs_of_list(str(path))


def test_a_list_must_be_text(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read as a list of pairs"):
        pairs_of_list(str(tmp_path / "pairs.csv"))
    with pytest.raises(InputError, match="there is no file"):
        pairs_of_list(str(tmp_path / "none.csv"))
