"""What a build leaves on disk: whole engines, or nothing but the log."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from engine_builds import H200, PROFILE, Lines, build, library_of
from tiny_onnx import write_tiny_onnx

from refusion import BackendError, OutputError
from refusion.backends.tensorrt.library import Flavour
from refusion.backends.tensorrt.loading import load_engine
from refusion.backends.tensorrt.sidecar import read_sidecar, sidecar_of
from refusion.backends.tensorrt.signing import is_signed
from refusion.export.engine import BuiltEngine, EngineRequest, build_engine

pytest.importorskip("onnx", reason="onnx is not installed")


FAKES = Path(__file__).parents[1] / "fakes"


def test_the_same_engine_is_built_once(tmp_path: Path) -> None:
    folder, lines = tmp_path / "engines", Lines()
    first = build(folder)
    again = build(folder, report=lines)
    assert (again.was_there, again.record) == (True, first.record)
    assert lines == [f"{first.path} is there already, and fits: kept"]
    assert not build(folder, force=True).was_there
    assert build(folder, workspace_mib=512).path != first.path


def flip(built: BuiltEngine) -> None:
    built.path.write_bytes(built.path.read_bytes()[:-1] + b"?")


def cut_record(built: BuiltEngine) -> None:
    sidecar_of(built.path).write_text("{")


def forge_record(built: BuiltEngine) -> None:
    text = sidecar_of(built.path).read_text()
    sidecar_of(built.path).write_text(text.replace('"build_seconds": ', '"build_seconds": 9'))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (flip, "is damaged: built"),
        (cut_record, "is damaged, or no"),
        (forge_record, "not as you built it"),
    ],
)
def test_a_spoilt_engine_is_built_again(tmp_path: Path, spoil: Any, says: str) -> None:
    first = build(tmp_path / "engines")
    spoil(first)
    lines = Lines()
    again = build(tmp_path / "engines", report=lines)
    assert not again.was_there
    assert any(says in line for line in lines)
    assert load_engine(again.path, library=library_of("10"), gpu=H200).record == again.record


def test_a_failed_build_leaves_the_log_alone(tmp_path: Path) -> None:
    folder = tmp_path / "engines"
    match = r"could not build the engine within the workspace of 1 MiB: .*OutOfMemory.*whole log: .*plan.log"
    with pytest.raises(BackendError, match=match):
        build(folder, workspace_mib=1)
    (log,) = folder.iterdir()
    assert "ERROR: Error Code 2: OutOfMemory" in log.read_text()


def test_an_engine_is_verified_before_it_is_in_its_place(tmp_path: Path) -> None:
    folder, seen = tmp_path / "engines", []

    def verify(plan: Path) -> dict[str, Any]:
        assert not (folder / plan.name).exists()
        seen.append(load_engine(plan, library=library_of("10"), gpu=H200).record)
        return {"psnr_db": float("inf")}

    built = build(folder, verify=verify)
    assert len(seen) == 1
    assert built.record.verification == {"psnr_db": None}
    assert read_sidecar(built.path) == built.record
    assert is_signed(built.record)


class Refused(BackendError):
    """What a verification raises."""


def test_an_engine_that_fails_its_verification_is_not_kept(tmp_path: Path) -> None:
    folder = tmp_path / "engines"

    def verify(plan: Path) -> dict[str, Any]:
        raise Refused("40 gray levels off")

    with pytest.raises(Refused, match="40 gray levels off"):
        build(folder, verify=verify)
    assert [path.suffix for path in folder.iterdir()] == [".log"]
    first = build(folder)
    with pytest.raises(Refused):
        build(folder, verify=verify, force=True)
    assert load_engine(first.path, library=library_of("10"), gpu=H200).record == first.record


def test_an_engine_without_a_key_needs_trust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    lines = Lines()
    built = build(tmp_path / "engines", report=lines)
    assert built.record.signature == ""
    assert any("is not signed, and will need --trust" in line for line in lines)
    with pytest.raises(BackendError, match="its record is not signed"):
        load_engine(built.path, library=library_of("10"), gpu=H200)


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    onnx = write_tiny_onnx(tmp_path / "a.onnx")
    (tmp_path / "engines").touch()
    request = EngineRequest(onnx, tmp_path / "engines", Flavour.tensorrt, PROFILE)
    with pytest.raises(OutputError, match="engines cannot be made: it is a file, not a folder"):
        build_engine(request, report=Lines(), library=library_of("10"), gpu=H200)


def test_a_read_only_folder_is_found_out_before_the_build(tmp_path: Path) -> None:
    # /proc refuses files to root too, whom permissions do not stop.
    onnx = write_tiny_onnx(tmp_path / "a.onnx")
    request = EngineRequest(onnx, Path("/proc/self"), Flavour.tensorrt, PROFILE)
    library = library_of("10")
    with pytest.raises(OutputError, match=r"/proc/self/ivif-full-fp16-.*plan cannot be written: "):
        build_engine(request, report=Lines(), library=library, gpu=H200)
    assert library.module.first_logger is None


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not stop root")
def test_a_folder_without_permission_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "engines"
    folder.mkdir(mode=0o555)
    with pytest.raises(OutputError, match="cannot be written: Permission denied"):
        build(folder)


@pytest.mark.parametrize("limit", [0, 100, 1000])
def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, limit: int) -> None:
    resource = pytest.importorskip("resource", reason="limits of file sizes need a Unix")
    folder, lines = tmp_path / "engines", Lines()
    onnx = write_tiny_onnx(tmp_path / "a.onnx")
    first = build(folder, onnx=onnx, workspace_mib=2048)
    sizes = [path.stat().st_size for path in (first.path, sidecar_of(first.path))]
    assert sizes[0] < 1000 < sizes[1]

    def engines() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in folder.iterdir() if path.suffix != ".log"}

    before = engines()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The write that passes the limit fails as on a full disk (Python ignores the signal that comes with it).
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(OutputError, match=r"\.plan cannot be written: File too large"):
            build(folder, onnx=onnx, report=lines)
        with pytest.raises(OutputError, match=r"\.plan cannot be written: File too large"):
            build(folder, onnx=onnx, workspace_mib=2048, force=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert limit == 1000 or any("plan.log cannot be written: File too large" in line for line in lines)
    assert engines() == before
    assert load_engine(first.path, library=library_of("10"), gpu=H200).record == first.record


# Two processes.


def start(onnx: Path, folder: Path, signals: Path, generation: str = "10") -> subprocess.Popen[str]:
    signals.mkdir()
    script = FAKES / "build_in_another_process.py"
    return subprocess.Popen(
        [sys.executable, script, generation, onnx, folder, signals], stdout=subprocess.PIPE, text=True
    )


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not come"
        time.sleep(0.01)


def test_two_processes_that_build_the_same_engine_build_it_once(tmp_path: Path) -> None:
    onnx, folder = write_tiny_onnx(tmp_path / "a.onnx"), tmp_path / "engines"
    first = start(onnx, folder, tmp_path / "first")
    wait_for(tmp_path / "first" / "building")
    second = start(onnx, folder, tmp_path / "second")
    assert second.stdout is not None
    assert second.stdout.readline() == f"another process builds into {folder}: waiting\n"
    assert not (tmp_path / "second" / "building").exists()
    (tmp_path / "first" / "go").touch()
    (plan,) = (path for path in [Path(first.communicate(timeout=60)[0].split()[-1])])
    assert second.communicate(timeout=60)[0].splitlines()[-1] == f"kept {plan}"
    assert (first.returncode, second.returncode) == (0, 0)
    assert load_engine(plan, library=library_of("10"), gpu=H200).record is not None
    assert len(list(folder.iterdir())) == 3


def test_a_process_that_is_killed_leaves_no_lock_and_no_engine(tmp_path: Path) -> None:
    onnx, folder = write_tiny_onnx(tmp_path / "a.onnx"), tmp_path / "engines"
    first = start(onnx, folder, tmp_path / "first")
    wait_for(tmp_path / "first" / "building")
    first.kill()
    first.communicate(timeout=60)
    assert list(folder.iterdir()) == []
    assert not build(folder, onnx=onnx).was_there


def test_a_second_ctrl_c_ends_a_build_that_cannot_be_stopped(tmp_path: Path) -> None:
    onnx, folder = write_tiny_onnx(tmp_path / "a.onnx", form="decomposed"), tmp_path / "engines"
    process = start(onnx, folder, tmp_path / "first", "8.6")
    wait_for(tmp_path / "first" / "building")
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    assert "press Ctrl-C again to end the whole program" in process.stdout.readline()
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("crash_at", [".plan", ".json"])
def test_a_crash_between_the_files_leaves_no_plan_that_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crash_at: str
) -> None:
    folder = tmp_path / "engines"
    built = build(folder)
    move = Path.replace

    def crash(self: Path, target: Path) -> Path:
        if target.suffix == crash_at:
            raise KeyboardInterrupt
        return move(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", crash)
        with pytest.raises(KeyboardInterrupt):
            build(folder, force=True)
    assert {path.suffix for path in folder.iterdir()} == {".plan", ".log"}
    with pytest.raises(BackendError, match="is a foreign engine: it has no record"):
        load_engine(built.path, library=library_of("10"), gpu=H200)
    again = build(folder)
    assert not again.was_there
    assert load_engine(again.path, library=library_of("10"), gpu=H200).record == again.record
