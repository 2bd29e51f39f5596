from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import numpy as np
import pytest

from refusion import InputError, OutputError, Task
from refusion.files import write_image
from refusion.training import cache as cache_module
from refusion.training.cache import default_cache_folder
from refusion.training.data import PairSet, load_pairs


@pytest.fixture
def data(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for folder in ("ir", "vis"):
        (tmp_path / "data" / folder).mkdir(parents=True)
        for name, size in (("1", (20, 24)), ("2", (18, 40))):
            write_image(
                tmp_path / "data" / folder / f"{name}.png", random.integers(256, size=size).astype("uint8")
            )
    return tmp_path / "data"


def load(data: Path, cache: Path | None, patch_px: int = 16) -> PairSet:
    return load_pairs(data, Task.ivif, patch_px, cache=cache)


def assert_equal(found: PairSet, expected: PairSet) -> None:
    assert found.names == expected.names
    for pair, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(pair, other)


def test_a_second_start_decodes_nothing(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = load(data, None)
    with caplog.at_level(logging.INFO):
        assert_equal(load(data, tmp_path / "cache"), expected)
    assert "decoding 2 images into" in caplog.text
    monkeypatch.setattr(cache_module, "read_image", None)
    assert_equal(load(data, tmp_path / "cache"), expected)
    with pytest.raises(InputError, match="2.png is 40x18, smaller than a patch of 19 pixels"):
        load(data, tmp_path / "cache", patch_px=19)


def test_a_changed_source_is_decoded_anew_and_the_old_planes_go(data: Path, tmp_path: Path) -> None:
    load(data, tmp_path / "cache")
    before = set((tmp_path / "cache").iterdir())
    other = tmp_path / "cache" / "0123456789abcdef-0123456789abcdef.planes"
    other.touch()
    write_image(data / "ir" / "1.png", np.zeros((20, 24), np.uint8), force=True)
    assert load(data, tmp_path / "cache")[0][0].max() == 0
    after = set((tmp_path / "cache").iterdir())
    assert len(before) == 2
    assert len(after) == 3
    assert before & after == set()
    assert other in after


def test_a_touched_source_is_decoded_anew(
    data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    load(data, tmp_path / "cache")
    os.utime(data / "ir" / "1.png", ns=(0, 12345))
    with caplog.at_level(logging.INFO):
        load(data, tmp_path / "cache")
    assert "decoding 2 images into" in caplog.text


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda index, values: values.unlink(), id="no values"),
        pytest.param(lambda index, values: values.write_bytes(values.read_bytes()[:-2]), id="short values"),
        pytest.param(lambda index, values: index.write_text(index.read_text()[:-3]), id="half an index"),
        pytest.param(lambda index, values: index.write_bytes(b"\xff\xfe"), id="bytes as index"),
        pytest.param(lambda index, values: index.write_text("[]"), id="another index"),
        pytest.param(lambda index, values: index.write_text('{"sizes": [[20, 24]]}'), id="too few sizes"),
        pytest.param(
            lambda index, values: index.write_text(json.dumps({"sizes": [[-20, -24], [18, 40]]})),
            id="negative",
        ),
        pytest.param(
            lambda index, values: index.write_text(json.dumps({"sizes": [[1e300, 24], [18, 40]]})), id="huge"
        ),
    ],
)
def test_a_damaged_cache_is_made_again(
    damage, data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expected = load(data, tmp_path / "cache")
    index, values = sorted((tmp_path / "cache").iterdir())
    assert (index.suffix, values.suffix) == (".json", ".planes")
    damage(index, values)
    assert_equal(load(data, tmp_path / "cache"), load(data, None))
    assert f"{index} is damaged (" in caplog.text
    assert "the images are decoded again" in caplog.text
    assert len(expected) == 2


def test_mistakes_leave_no_cache_behind(data: Path, tmp_path: Path) -> None:
    (data / "vis" / "2.png").write_text("no image")
    with pytest.raises(InputError, match="2.png is not an image"):
        load(data, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_cache_that_cannot_be_written(data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        OutputError, match="it is a file, not a folder; name another folder with cache=DIR, or"
    ):
        load(data, tmp_path / "file")


def test_the_default_folder_follows_the_xdg_specification(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert default_cache_folder() == Path("/somewhere/refusion/training")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/someone")
    assert default_cache_folder() == Path("/home/someone/.cache/refusion/training")
