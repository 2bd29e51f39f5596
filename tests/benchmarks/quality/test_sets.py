"""Data sets by name and by folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from refusion.benchmarks.quality.asking import named_sets
from refusion.benchmarks.quality.sets import DataSet, EvaluationSet, data_root, own_set
from refusion.errors import InputError
from refusion.tasks import Task

from .conftest import write_clip, write_pairs


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root folder with three pairs of TNO, two of PET-MRI, and two clips of two frames."""
    write_pairs(tmp_path / "ivif/test/ir", tmp_path / "ivif/test/vis", 3)
    write_pairs(tmp_path / "mif/test/pet_mri/pet", tmp_path / "mif/test/pet_mri/mri", 2)
    for name in ("dusk", "dawn"):
        write_clip(tmp_path / "video" / name / "ir.mp4", tmp_path / "video" / name / "vis.mp4", 2)
    return tmp_path


def test_all_that_are_there(root: Path) -> None:
    found, skipped = named_sets((), root, None)
    assert [(one.title, one.task, len(one.pairs), len(one.clips)) for one in found] == [
        ("TNO", Task.ivif, 3, 0),
        ("M3SVD", Task.ivif, 0, 2),
        ("PET-MRI", Task.mif, 2, 0),
    ]
    assert [one.what for one in skipped] == ["RoadScene", "CT-MRI", "SPECT-MRI", "MFIFB", "MEFB"]
    assert skipped[0].reason == "there is no folder ivif/test_roadscene below the root folder"


def test_a_set_that_is_there_must_be_whole(root: Path) -> None:
    (root / "video/dusk/vis.mp4").unlink()
    with pytest.raises(InputError, match="the clip .*video/dusk has no vis.mp4 beside ir.mp4"):
        named_sets((), root, None)


def test_a_limit(root: Path) -> None:
    assert [pair.name for pair in DataSet.tno.below(root, 2).pairs] == ["0", "1"]
    dawn, dusk = DataSet.m3svd.below(root, 1).clips
    assert [pair.name for pair in dawn.read()] == ["dawn/0000"]
    assert [pair.name for pair in dusk.read()] == ["dusk/0000"]


def test_a_set_that_was_named_must_be_there(root: Path) -> None:
    with pytest.raises(InputError, match="there is no folder .*mff/test/near"):
        named_sets(("tno", "mfifb"), root, None)
    with pytest.raises(InputError, match=r"there are no clips .*none/video/\*/ir.mp4"):
        DataSet.m3svd.below(root / "none")


def test_images_without_a_partner(root: Path) -> None:
    (root / "ivif/test/vis/1.png").unlink()
    with pytest.raises(InputError, match="1 images of .* have no partner, 1.png first"):
        DataSet.tno.below(root)


def test_the_hash_is_that_of_the_pictures(root: Path) -> None:
    before = DataSet.tno.below(root)
    first = before.sha256()
    assert first == DataSet.tno.below(root).sha256() != DataSet.tno.below(root, 2).sha256()
    (root / "ivif/test/vis/2.png").write_bytes((root / "ivif/test/vis/1.png").read_bytes())
    assert before.sha256() == DataSet.tno.below(root).sha256() != first


def test_videos_of_ones_own(clip: EvaluationSet) -> None:
    (videos,) = clip.clips
    frames = list(videos.read())
    assert [frame.name for frame in frames] == [f"night/{index:04}" for index in range(4)]
    assert frames[0].a.shape == (48, 64)
    assert frames[0].b.shape == (48, 64, 3)


def test_a_folder_and_a_video_are_no_pair(stills: EvaluationSet, clip: EvaluationSet) -> None:
    with pytest.raises(InputError, match="there is no folder .*night.mp4"):
        own_set(stills.pairs[0].a.parent, clip.clips[0].a, Task.ivif)


def test_the_root_of_the_environment(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFUSION_DATA", str(root))
    assert data_root(None) == root
    assert data_root(root / "video") == root / "video"
