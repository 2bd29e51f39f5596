"""Two processes on the CPU, started by torchrun, against one."""

from __future__ import annotations

import json
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


def torchrun(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.run(
        [*command, "-m", "refusion.training", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=500,
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
