"""The job that runs the project's own benchmarks, without a GPU and at a tiny size."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed")

from refusion.benchmarks.gpu import bench
from refusion.benchmarks.reports import read_report
from refusion.errors import InputError


def test_the_job_leaves_reports_with_their_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, kit = tmp_path / "out", tmp_path / "kit"
    kit.mkdir()
    (kit / "commit").write_text("abc123\n")
    monkeypatch.setattr(bench, "KIT", kit)
    monkeypatch.setattr(bench, "KEPT", tmp_path / "kept")
    monkeypatch.setattr(bench.engines, "ENGINES", tmp_path / "engines")
    monkeypatch.setattr("refusion.benchmarks.facts.commit", lambda: None)
    monkeypatch.setenv("OUT", str(out))
    monkeypatch.setenv("REFUSION_ENGINES", "")
    small = ["--sizes", "96x64", "--backends", "onnxruntime", "--no-baselines", "--quick", "--threads", "1"]
    parts = ["--parts", "latency", "quality"]
    with pytest.raises(InputError, match=f"quality: .*{tmp_path / 'nowhere'}"):
        bench.main([*small, *parts, "--name", "none", "--data", str(tmp_path / "nowhere")])
    (written,) = out.glob("none-latency-py3*.json")
    report = read_report(written)
    assert report == read_report(next((tmp_path / "kept").iterdir()))
    assert report["facts"]["commit"] == "abc123"
    assert {one["title"] for one in report["network"]} == {"full, onnxruntime", "lite, onnxruntime"}
    assert "| full, onnxruntime " in capsys.readouterr().out
