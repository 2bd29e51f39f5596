from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed")

from refusion.benchmarks import training_step


def test_it_measures_steps_in_processes_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--patch", "16", "--batch", "1", "--repeats", "1", "--threads", "1", "--kinds", "descend"]
    training_step.main([*arguments, "--json", str(tmp_path / "steps.json")])
    lines = capsys.readouterr().out.splitlines()
    assert "failed" not in "".join(lines)
    assert lines[-2].startswith("| transcription, second-order graph | ")
    assert lines[-1].startswith("| ours | ")
    steps = json.loads((tmp_path / "steps.json").read_text())["steps"]
    for variant in ("transcription", "ours"):
        assert steps["descend"][variant]["median_ms"] > 0
        assert 50 < steps["descend"][variant]["peak_mib"] < 5000


@pytest.mark.parametrize("name", ["transcription", "ours", "graph"])
def test_every_variant_takes_a_meta_step(name: str) -> None:
    found = training_step.measure(name, "meta", 16, 1, 1, "cpu")
    assert found.median_ms > 0
    assert found.captured is (False if name == "graph" else None)
