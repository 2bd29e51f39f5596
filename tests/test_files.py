from __future__ import annotations

import resource
import stat
from pathlib import Path

import cv2
import numpy as np
import pytest

from refusion import InputError, OutputError
from refusion.files import images_by_stem, match_by_stem, read_image, replacing, require_file, write_image

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif", ".webp"])
def test_images_come_back_as_stored(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"image{suffix}"
    write_image(path, PICTURE)
    assert read_image(path).shape == PICTURE.shape
    if suffix in (".png", ".bmp", ".tif"):
        np.testing.assert_array_equal(read_image(path), PICTURE)


def test_gray_stays_gray_and_alpha_goes(tmp_path: Path) -> None:
    write_image(tmp_path / "gray.png", PICTURE[..., 0])
    assert read_image(tmp_path / "gray.png").shape == (40, 60)
    cv2.imwrite(str(tmp_path / "alpha.png"), np.zeros((4, 5, 4), np.uint8))
    assert read_image(tmp_path / "alpha.png").shape == (4, 5, 3)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_truncated_images_are_refused(tmp_path: Path, suffix: str, share: float) -> None:
    _, encoded = cv2.imencode(suffix, PICTURE)
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(encoded.tobytes()[: int(share * len(encoded))])
    with pytest.raises(InputError, match="is truncated: its end is missing"):
        read_image(path)


def test_a_png_that_states_more_than_it_has_takes_no_memory(tmp_path: Path) -> None:
    _, encoded = cv2.imencode(".png", PICTURE)
    data = bytearray(encoded.tobytes())
    first = data.index(b"IDAT") - 4
    data[first : first + 4] = b"\xff\xff\xff\xff"
    (tmp_path / "a.png").write_bytes(data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match="is truncated: its end is missing"):
        read_image(tmp_path / "a.png")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 2**20  # KiB: it stated 4 GiB


def test_what_follows_the_end_of_a_png_does_not_count(tmp_path: Path) -> None:
    _, encoded = cv2.imencode(".png", PICTURE)
    (tmp_path / "a.png").write_bytes(encoded.tobytes() + b"more")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), PICTURE)


@pytest.mark.parametrize("content", [b"", b"this is a text\n" * 10])
def test_what_is_no_image_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "text.png"
    path.write_bytes(content)
    with pytest.raises(InputError, match="is not an image, or is damaged"):
        read_image(path)


def test_missing_folder_and_deep_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no image"):
        read_image(tmp_path / "none.png")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        read_image(tmp_path)
    cv2.imwrite(str(tmp_path / "deep.png"), np.zeros((4, 4), np.uint16))
    with pytest.raises(InputError, match="has 16 bits a channel"):
        read_image(tmp_path / "deep.png")


def test_nothing_is_overwritten_without_force(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    write_image(path, PICTURE)
    before = path.read_bytes()
    with pytest.raises(OutputError, match="is there already; give --force"):
        write_image(path, PICTURE[::-1])
    assert path.read_bytes() == before
    write_image(path, PICTURE[::-1], force=True)
    assert path.read_bytes() != before


def test_a_target_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    with pytest.raises(OutputError, match="is there already"), replacing(path, force=False):
        path.write_text("another's")
    assert path.read_text() == "another's"
    assert list(tmp_path.iterdir()) == [path]


def write_half_and_fail(path: Path) -> None:
    path.write_text("half")
    raise RuntimeError("cut short")


def test_a_failed_write_leaves_the_target_and_no_scraps(tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="cut short"), replacing(path, force=True) as partial:
        write_half_and_fail(partial)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_written_files_are_readable_by_others(tmp_path: Path) -> None:
    write_image(tmp_path / "image.png", PICTURE)
    assert (tmp_path / "image.png").stat().st_mode & stat.S_IRGRP


def test_unwritable_places_are_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"none/image.png cannot be written: there is no folder"):
        write_image(tmp_path / "none" / "image.png", PICTURE)
    with pytest.raises(OutputError, match="the name of an image must end in one of .bmp"):
        write_image(tmp_path / "image.gif", PICTURE)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(OutputError, match="it is a folder"):
        write_image(tmp_path / "folder.png", PICTURE, force=True)


def test_names_that_no_file_can_have_are_refused(tmp_path: Path) -> None:
    name = "x" * 300
    with pytest.raises(OutputError, match=r"x\.png cannot be written: File name too long"):
        write_image(tmp_path / f"{name}.png", PICTURE)
    with pytest.raises(InputError, match=r"x\.png cannot be read: File name too long"):
        read_image(tmp_path / f"{name}.png")
    with pytest.raises(InputError, match="x cannot be read: File name too long"):
        images_by_stem(tmp_path / name)
    with pytest.raises(InputError, match="x cannot be looked up: File name too long"):
        require_file(tmp_path / name, "model")


def test_folders_are_matched_by_stem(tmp_path: Path) -> None:
    for name in ("a/1.png", "a/2.jpg", "a/3.png", "b/1.jpg", "b/2.png", "b/4.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        write_image(path, PICTURE)
    (tmp_path / "a" / "notes.txt").write_text("no image")
    matches = match_by_stem(tmp_path / "a", tmp_path / "b")
    assert [stem for stem, _, _ in matches.pairs] == ["1", "2"]
    assert [path.name for path in matches.only_a] == ["3.png"]
    assert [path.name for path in matches.only_b] == ["4.png"]


def test_folders_that_cannot_be_matched_are_refused(tmp_path: Path) -> None:
    for name in ("a/1.png", "b/2.png", "twice/1.png", "twice/1.jpg"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        write_image(path, PICTURE)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no image of .* has the name"):
        match_by_stem(tmp_path / "a", tmp_path / "b")
    with pytest.raises(InputError, match="have the same name"):
        images_by_stem(tmp_path / "twice")
    with pytest.raises(InputError, match="there are no images in"):
        images_by_stem(tmp_path / "empty")
    with pytest.raises(InputError, match="there is no folder"):
        images_by_stem(tmp_path / "none")
