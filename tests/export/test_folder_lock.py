from __future__ import annotations

import errno
import fcntl
import threading
from pathlib import Path

import pytest

from refusion.export.folder_lock import locked_folder


def test_one_at_a_time(tmp_path: Path) -> None:
    order: list[str] = []
    waiting = threading.Event()

    def second() -> None:
        with locked_folder(tmp_path, on_wait=waiting.set):
            order.append("second")

    with locked_folder(tmp_path, on_wait=lambda: order.append("waited in vain")):
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(timeout=60)
        order.append("first")
    thread.join(timeout=60)
    assert order == ["first", "second"]
    assert list(tmp_path.iterdir()) == []


def test_an_error_frees_the_lock(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="in the block"), locked_folder(tmp_path):
        raise ValueError("in the block")
    with locked_folder(tmp_path, on_wait=lambda: pytest.fail("still locked")):
        pass


def test_a_file_system_without_locks_is_used_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with locked_folder(tmp_path), locked_folder(tmp_path):
        pass


def test_what_is_no_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError), locked_folder(tmp_path / "file"):
        pass
