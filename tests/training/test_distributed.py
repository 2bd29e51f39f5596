"""Two processes on the CPU, started by torchrun, against one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from refusion import BackendError, UsageError
from refusion.training.distributed import ALONE, joined_processes
from refusion.training.run import Request, start_or_resume

SETTINGS = (
    "epochs=2",
    "meta_steps=2",
    "fusion_steps=3",
    "batch=2",
    "patch_px=16",
    # Patches this small are too small for VIF, and what processes share is exact for the paper's loss.
    "structure_factor=0",
    "information_factor=0",
    "edge_factor=0",
    "difference_factor=0",
    "validation_pairs=3",
    "image_panels_every=1",
    "cache=off",
    "threads=1",
    "device=cpu",
)


def torchrun(
    *arguments: str | Path, cwd: Path, options: tuple[str, ...] = (), module: str = "refusion.training"
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    fakes = Path(__file__).parents[1] / "fakes"
    paths = os.pathsep.join(filter(None, [str(fakes), os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        [*command, *options, "-m", module, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=200,
    )


def records(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "losses.jsonl").read_text().splitlines()]


def test_two_processes_train_as_one_with_the_joint_batch(data: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    expected = list(start_or_resume(Request(one, data=(data,), settings=SETTINGS)))

    done = torchrun("--data", data, "-o", two, *SETTINGS, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [line.partition("  ")[0] for line in done.stdout.splitlines()] == ["epoch 1/2", "epoch 2/2"]
    found = records(two)
    assert len(found) == 2
    for ours, theirs in zip(found, expected, strict=True):
        ours.pop("seconds"), theirs.pop("seconds")
        # Sums in another order; the metrics count gray levels, which rounding may move by one.
        assert ours == pytest.approx(theirs, rel=5e-3)
        assert ours["fusion_loss"] == pytest.approx(theirs["fusion_loss"], rel=1e-4)

    states = [torch.load(run / "state.pt", weights_only=True)["modules"] for run in (one, two)]
    apart = torch.cat([(states[1][name] - value).abs().flatten() for name, value in states[0].items()])
    # Adam takes its first steps by the sign of the gradient, and rounding may turn the smallest ones.
    assert float(apart.median()) < 1e-7
    assert float(apart.mean()) < 1e-5


def test_a_run_goes_on_with_another_number_of_processes(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    begun = start_or_resume(Request(run, data=(data,), settings=SETTINGS))
    first = next(begun)
    begun.close()
    done = torchrun("-o", run, "--resume", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [record["epoch"] for record in records(run)] == [1, 2]
    assert records(run)[0] == first


def test_a_process_that_is_gone_is_started_again_and_the_run_goes_on(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = ("--data", data, "-o", run, *SETTINGS, "checkpoint_minutes=1e-9")
    done = torchrun(*arguments, cwd=tmp_path, options=("--max-restarts", "1"), module="dying_trainer")
    assert done.returncode == 0, done.stderr
    assert "error: process 0 of 2 lost the others (" in done.stderr
    assert "go on with --resume" in done.stderr
    assert [record["epoch"] for record in records(run)] == [1, 2]


def test_requests_that_no_processes_can_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    message = "batch=3 cannot be shared by 2 processes: give a multiple of 2"
    with pytest.raises(UsageError, match=message), joined_processes("cpu", 3):
        pass
    monkeypatch.setenv("WORLD_SIZE", "1")
    if not torch.cuda.is_available():
        with (
            pytest.raises(BackendError, match="device=cuda, but PyTorch .* sees no GPU"),
            joined_processes("cuda", 4),
        ):
            pass
    with joined_processes("cpu", 4) as processes:
        assert processes == ALONE
