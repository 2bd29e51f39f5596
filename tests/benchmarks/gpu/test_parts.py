from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from refusion import InputError
from refusion.benchmarks.gpu import receive as receiving
from refusion.benchmarks.gpu.parts import CONTENT, Manifest, compress, join, missing, receive, split

PART_BYTES = 1000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with a file that does not compress, a program and a link."""
    folder = tmp_path / "root" / "python"
    (folder / "lib").mkdir(parents=True)
    (folder / "lib" / "noise.so").write_bytes(np.random.default_rng(0).bytes(5 * PART_BYTES))
    (folder / "run").write_text("#!/bin/sh\necho ran\n")
    (folder / "run").chmod(0o755)
    (folder / "link.so").symlink_to("lib/noise.so")
    return tmp_path / "root"


@pytest.fixture
def parts(root: Path, tmp_path: Path) -> Path:
    compress(root, tmp_path / "a.xz")
    split(tmp_path / "a.xz", "all", tmp_path / "parts", PART_BYTES)
    return tmp_path / "parts"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_parts_are_small_alike_and_whole(parts: Path, root: Path, tmp_path: Path) -> None:
    sizes = [len((folder / CONTENT).read_bytes()) for folder in sorted(parts.iterdir())]
    assert len(sizes) == 6
    assert max(sizes) <= PART_BYTES
    assert max(sizes) - min(sizes) < 10
    manifest = Manifest.read(parts / "all-3")
    join(manifest, parts, tmp_path / "target")
    assert contents(tmp_path / "target") == contents(root)
    assert (tmp_path / "target/python/link.so").readlink() == Path("lib/noise.so")
    assert os.access(tmp_path / "target/python/run", os.X_OK)


def test_parts_may_come_in_any_order_and_twice(parts: Path, root: Path, tmp_path: Path) -> None:
    source, store = tmp_path / "arrived", tmp_path / "store"
    source.mkdir()
    store.mkdir()
    for number in (4, 1, 6, 1, 2, 3, 5):
        carried = source / f"all-{number}"
        (parts / carried.name).rename(carried)
        (manifest,) = receive(source, store)
        lacking = missing(manifest, store)
        carried.rename(parts / carried.name)
    assert lacking == []
    join(manifest, store, tmp_path / "target")
    assert contents(tmp_path / "target") == contents(root)


def test_an_earlier_pack_is_replaced(parts: Path, tmp_path: Path) -> None:
    split(tmp_path / "a.xz", "all", parts, 10**6)
    assert [folder.name for folder in parts.iterdir()] == ["all-1"]


def test_what_is_damaged_or_missing_is_said(parts: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    manifest = Manifest.read(parts / "all-1")
    content = parts / "all-2" / CONTENT
    whole = content.read_bytes()
    content.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(InputError, match="all-2/part is damaged: .* send it again"):
        receive(parts, store)
    assert missing(manifest, store) == [2, 3, 4, 5, 6]
    with pytest.raises(InputError, match=r"parts \[2, 3, 4, 5, 6\] of all are missing"):
        join(manifest, store, tmp_path / "target")
    content.write_bytes(whole)
    (parts / "all-1" / "manifest.json").write_text("{")
    with pytest.raises(InputError, match="manifest.json cannot be read .* pack again"):
        receive(parts, store)


def test_parts_of_two_packs_do_not_mix(parts: Path, root: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    receive(parts, store)
    (root / "python" / "more").write_text("more")
    compress(root, tmp_path / "b.xz")
    split(tmp_path / "b.xz", "all", parts, PART_BYTES)
    with pytest.raises(InputError, match="is not of the pack that .* has the other parts of"):
        receive(parts, store)


def test_the_job_says_what_is_missing_and_unpacks_what_is_whole(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(receiving, "PARTS", tmp_path / "arrived")
    monkeypatch.setattr(receiving, "THERE", tmp_path / "there")
    (tmp_path / "arrived").mkdir()
    receiving.main()
    assert "no part came along" in capsys.readouterr().out
    for number in range(1, 7):
        (parts / f"all-{number}").rename(tmp_path / "arrived" / f"all-{number}")
        receiving.main()
        said = capsys.readouterr().out
        if number < 6:
            assert f"all: 6 parts, still missing: {list(range(number + 1, 7))}" in said
    assert "all: unpacked to" in said
    assert (tmp_path / "there" / "python" / "run").is_file()
    receiving.main()
    assert "all: was unpacked before" in capsys.readouterr().out
