"""Partial files: nothing piles up, and nobody writes into another's."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from refusion import partial_files
from refusion.partial_files import partial_file

KILLED = """
import os, signal, sys
from pathlib import Path
from refusion.partial_files import partial_file

with partial_file(Path(sys.argv[1])) as partial:
    partial.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "image.png"


def usual_name(target: Path) -> Path:
    with partial_file(target) as partial:
        pass
    return partial


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_a_killed_process_left_is_written_over(target: Path) -> None:
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", KILLED, str(target)], check=False)
        assert done.returncode == -signal.SIGKILL
        (left,) = target.parent.iterdir()
        assert left.read_text() == "half"
    with partial_file(target) as partial:
        assert partial == left
        assert partial.read_bytes() == b""
        partial.write_text("whole")
    assert names(target.parent) == ["image.png"]
    assert target.read_text() == "whole"


def test_two_that_write_one_target_have_files_of_their_own(target: Path) -> None:
    with partial_file(target) as first:
        first.write_text("first")
        with partial_file(target) as second:
            assert second != first
            second.write_text("second")
        assert first.read_text() == "first"
        with pytest.raises(KeyError), partial_file(target):
            raise KeyError
    assert target.read_text() == "first"
    assert names(target.parent) == ["image.png"]


def test_a_link_in_its_place_is_not_followed(target: Path) -> None:
    usual, victim = usual_name(target), target.parent / "victim"
    victim.write_text("precious")
    for link in (usual.symlink_to, usual.hardlink_to):
        link(victim)
        with partial_file(target) as partial:
            assert partial != usual
            partial.write_text("new")
        assert victim.read_text() == "precious"
        usual.unlink()


@pytest.mark.parametrize("lacking", ["locks", "boot"])
def test_without_what_tells_users_apart_names_are_random(
    target: Path, monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    usual = usual_name(target)
    if lacking == "locks":
        monkeypatch.setattr(partial_files.fcntl, "flock", no_locks)
    else:
        monkeypatch.setattr(partial_files, "_boot_id", lambda: "")
    with partial_file(target) as partial:
        assert names(target.parent) == sorted([partial.name, "image.png"])
        assert partial != usual
    assert names(target.parent) == ["image.png"]


def test_who_puts_another_file_in_its_place_is_told(target: Path) -> None:
    def replace(partial: Path) -> None:
        other = partial.with_name("other")
        other.write_text("others cannot know that this one is in use")
        other.replace(partial)

    with pytest.raises(RuntimeError, match="was replaced, not written"), partial_file(target) as partial:
        replace(partial)
    assert names(target.parent) == []


@pytest.mark.parametrize("letter", ["x", "ж"])
def test_the_longest_names_are_written(tmp_path: Path, letter: str) -> None:
    target = tmp_path / f"{letter * (251 // len(letter.encode()))}.png"
    with partial_file(target) as partial:
        partial.write_text("whole")
    assert names(tmp_path) == [target.name]
