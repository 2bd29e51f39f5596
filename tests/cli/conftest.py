"""Running the command line, and small inputs for it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import refusion.cli
from refusion.files import write_image
from refusion.stream.synthetic import SyntheticScene
from refusion.stream.video_writer import VideoWriter

SCENE = SyntheticScene(width_px=64, height_px=48)


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def error_lines(self) -> list[str]:
        """Lines on standard error, all of which must be errors of ours."""
        lines = self.err.splitlines()
        assert all(line.startswith("error: ") for line in lines), self.err
        return lines


Command = Callable[..., Outcome]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Call the entry point in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str | Path) -> Outcome:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["refusion", *map(str, arguments)])
        with pytest.raises(SystemExit) as leaving:
            refusion.cli.main()
        captured = capsys.readouterr()
        code = leaving.value.code
        assert code is None or isinstance(code, int)
        return Outcome(code or 0, captured.out, captured.err)

    return call


@pytest.fixture
def installed_cli(tmp_path: Path) -> Command:
    """Run the installed script as a process, so that whatever reaches standard error is seen."""
    script = Path(sys.executable).with_name("refusion")
    if not script.is_file():
        pytest.skip(f"refusion is not installed beside {sys.executable}")

    def run(*arguments: str | Path, script: Path = script, **environment: str) -> Outcome:
        done = subprocess.run(
            [script, *arguments],
            cwd=tmp_path,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def images(tmp_path: Path) -> tuple[Path, Path]:
    """An infrared and a visible image, a.png and b.png."""
    pair = SCENE.pair(0)
    write_image(tmp_path / "a.png", pair.a)
    write_image(tmp_path / "b.png", pair.b)
    return tmp_path / "a.png", tmp_path / "b.png"


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Folders ir and vis with the images 0 to 2 each."""
    for name in ("ir", "vis"):
        (tmp_path / name).mkdir()
    for index in range(3):
        pair = SCENE.pair(index)
        write_image(tmp_path / "ir" / f"{index}.png", pair.a)
        write_image(tmp_path / "vis" / f"{index}.png", pair.b)
    return tmp_path / "ir", tmp_path / "vis"


@pytest.fixture
def videos(tmp_path: Path) -> tuple[Path, Path]:
    """An infrared and a visible video, a.mp4 and b.mp4, of four frames."""
    a, b = tmp_path / "a.mp4", tmp_path / "b.mp4"
    size, rate = (SCENE.width_px, SCENE.height_px), SCENE.rate_hz
    with VideoWriter(a, rate=rate, size=size) as writer_a, VideoWriter(b, rate=rate, size=size) as writer_b:
        for pair in SCENE.frames(4):
            writer_a.write(pair.a)
            writer_b.write(pair.b)
    return a, b
