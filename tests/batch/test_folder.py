"""Folders at paths and URLs."""

from __future__ import annotations

import http.server
import os
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from refusion import InputError, UsageError
from refusion.batch.folder import Folder, split_url


@pytest.fixture(params=["local", "file:", "memory:"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Folder]:
    """An empty folder of each kind that can be written to without a server."""
    if request.param == "memory:":
        yield Folder("memory://archive/fused")
        import fsspec

        fsspec.filesystem("memory").store.clear()
    else:
        yield Folder(("file://" if request.param == "file:" else "") + str(tmp_path / "fused"))


def test_files_come_back(folder: Folder) -> None:
    assert folder.names() == []
    for name in ("b.png", "a/1.png", ".hidden", "a/.b.png.partial"):
        folder.write(name, name.encode())
    assert folder.names() == ["a/1.png", "b.png"]
    assert folder.read("a/1.png") == b"a/1.png"
    folder.write("b.png", b"again")
    assert folder.read("b.png") == b"again"
    folder.remove("b.png")
    folder.remove("b.png")
    assert folder.names() == ["a/1.png"]
    with pytest.raises(InputError, match=r"there is no file .*fused/b.png"):
        folder.read("b.png")
    assert folder.url_of("a/1.png") == f"{folder.url}/a/1.png"


def test_nothing_is_left_beside_a_local_file(tmp_path: Path) -> None:
    Folder(str(tmp_path)).write("x.png", b"1")
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]


def test_folders_below_that_cannot_be_read_are_not_left_out_in_silence(tmp_path: Path) -> None:
    day = tmp_path / "day"
    day.mkdir(mode=0)
    try:
        if os.access(day, os.R_OK):
            pytest.skip("this user may read every folder")
        with pytest.raises(InputError, match=r"cannot be listed: Permission denied: .*/day"):
            Folder(str(tmp_path)).names()
    finally:
        day.chmod(0o700)


@pytest.mark.parametrize(
    ("name", "message"), [("file", r"Not a directory: .*/file"), ("x" * 300, "File name too long: ")]
)
def test_what_is_no_folder_cannot_be_listed(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=f"{name} cannot be listed: {message}"):
        Folder(str(tmp_path / name)).names()


def test_archives_are_folders(tmp_path: Path) -> None:
    path = tmp_path / "pairs.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ir/1.png", b"one")
        archive.writestr("ir/deep/2.png", b"two")
        archive.writestr("vis/1.png", b"other")
    folder = Folder(f"zip://ir::{path}")
    assert folder.names() == ["1.png", "deep/2.png"]
    assert folder.read("deep/2.png") == b"two"
    assert folder.url_of("1.png") == f"zip://ir/1.png::{path}"
    same, name = split_url(folder.url_of("1.png"))
    assert same.read(name) == b"one"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


def test_web_folders_are_read(tmp_path: Path) -> None:
    pytest.importorskip("aiohttp", reason="aiohttp is not installed")
    (tmp_path / "ir").mkdir()
    (tmp_path / "ir" / "1.png").write_bytes(b"one")
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path))
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        folder = Folder(f"http://127.0.0.1:{server.server_port}/ir")
        assert folder.names() == ["1.png"]
        assert folder.read("1.png") == b"one"
        with pytest.raises(InputError, match="there is no file http://"):
            folder.read("2.png")
        server.shutdown()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense://x", "nonsense://x is no path and no URL that fsspec knows"),
        ("zip://x::/none/archive.zip", "names an archive that is not there"),
    ],
)
def test_bad_urls_are_refused(url: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Folder(url)
