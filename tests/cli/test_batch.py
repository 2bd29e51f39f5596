"""`refusion batch` as people run it: killed and run again, and its messages."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from refusion.files import images_by_stem

Cli = Callable[..., Any]


def hashes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


def test_folders_and_lists_are_fused_and_resumed(cli: Cli, folders: tuple[Path, Path]) -> None:
    ir, vis = folders
    options = ("--model", "lite", "--device", "cpu", "--workers", "1")
    first = cli("batch", "--a", ir, "--b", vis, "-o", "fused", *options)
    assert first.status == 0, first.err
    assert first.out.startswith("fused 3 pairs in ")
    assert "; 0 were there already, 0 failed" in first.out
    fused = Path("fused")
    before = hashes(fused)
    assert sorted(before) == ["0.png", "1.png", "2.png"]
    again = cli("batch", "--a", ir, "--b", vis, "-o", "fused", *options)
    assert "fused 0 pairs" in again.out
    assert "3 were there already" in again.out
    Path("pairs.csv").write_text("a,b\nir/0.png,vis/0.png\n")
    listed = cli("batch", "--pairs", "pairs.csv", "-o", "listed", *options)
    assert listed.status == 0, listed.err
    assert hashes(Path("listed")) == {"0.png": before["0.png"]}


def test_what_failed_is_named_and_the_status_says_so(cli: Cli, folders: tuple[Path, Path]) -> None:
    ir, vis = folders
    (ir / "1.png").write_bytes(b"no picture")
    (ir / "9.png").write_bytes((ir / "0.png").read_bytes())
    outcome = cli("batch", "--a", ir, "--b", vis, "-o", "fused", "--model", "lite", "--workers", "1")
    assert outcome.status == 1
    assert outcome.error_lines == [
        f"error: {ir}/9.png has no partner of the same name",
        f"error: 1: {ir}/1.png is not an image, or is damaged",
    ]
    assert "fused 2 pairs" in outcome.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--a", "ir"), "give the folders --a and --b, or a list with --pairs"),
        (("--a", "ir", "--b", "vis", "--pairs", "x.csv"), "give the folders --a and --b, or a list"),
        (("--a", "nonsense://x", "--b", "vis"), "nonsense://x is no path and no URL that fsspec knows"),
        (("--a", "none", "--b", "vis"), "there is no folder none"),
        (("--a", "", "--b", "vis"), "the path or URL of a folder is empty"),
        (("--a", "ir", "--b", "vis", "--backend", "triton"), "batch runs the network in its own workers"),
        (("--a", "ir", "--b", "vis", "--task", "x"), "there is no task 'x'"),
    ],
)
def test_mistakes_cost_one_line(
    cli: Cli, folders: tuple[Path, Path], arguments: tuple[str, ...], message: str
) -> None:
    outcome = cli("batch", *arguments, "-o", "fused")
    assert outcome.status == 1
    (line,) = outcome.error_lines
    assert message in line


@pytest.fixture
def script() -> Path:
    script = Path(sys.executable).with_name("refusion")
    if not script.is_file():
        pytest.skip(f"refusion is not installed beside {sys.executable}")
    return script


@pytest.fixture(params=["processes", "Ray"])
def workers(request: pytest.FixtureRequest) -> Iterator[tuple[str, ...]]:
    """Options that put two workers to work: processes of this machine, or nodes of a cluster."""
    if request.param == "processes":
        yield ("--workers", "2")
        return
    pytest.importorskip("ray", reason="ray is not installed")
    from two_nodes import two_nodes

    with two_nodes() as address:
        yield ("--ray", address, "--workers", "2")


@pytest.mark.filterwarnings("ignore")  # Ray's own code, and sockets that it leaves to the garbage collector.
def test_killed_halfway_and_run_again_gives_each_result_once(
    shared: Path, tmp_path: Path, script: Path, workers: tuple[str, ...]
) -> None:
    """On the TNO pairs; byte for byte what a run gives that nobody kills."""
    test = shared / "data" / "ivif" / "test"
    names = sorted(f"{stem}.png" for stem in images_by_stem(test / "ir"))
    whole, killed = tmp_path / "whole", tmp_path / "killed"

    def command(output: Path, *options: str) -> list[str]:
        sources = ("--a", str(test / "ir"), "--b", str(test / "vis"), "-o", str(output))
        return [str(script), "batch", *sources, "--model", "lite", "--device", "cpu", *options]

    subprocess.run(command(whole, "--workers", "1"), check=True, capture_output=True, timeout=300)
    run = subprocess.Popen(command(killed, *workers), stdout=subprocess.DEVNULL, start_new_session=True)
    while len(hashes(killed)) < len(names) // 2:
        assert run.poll() is None, "it was done before it could be killed"
        time.sleep(0.005)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    there = hashes(killed)
    assert len(there) < len(names)
    done = subprocess.run(command(killed, *workers), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert hashes(killed) == hashes(whole)
    assert sorted(hashes(killed)) == names
    # Nothing that was whole is made again, and nothing half made is left.
    count = int(done.stdout.split(" were there already")[0].rsplit(" ", 1)[1])
    assert count >= len(there)
    assert not [path for path in killed.iterdir() if path.name.startswith(".")]
