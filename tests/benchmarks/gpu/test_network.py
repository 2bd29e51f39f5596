"""The network job, on the CPU at tiny sizes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed")

import torch

from refusion.benchmarks.gpu import network
from refusion.benchmarks.gpu.forms import FORMS
from refusion.benchmarks.gpu.limits import Rates
from refusion.models.fusion import FusionModule

RATES = Rates(1e12, 1e14)


def test_a_command_reports_every_case(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OUT", str(tmp_path))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("refusion.benchmarks.gpu.stopwatch.RATE_SECONDS", 0.01)
    network.main(["--sizes", "32x24", "--batches", "1", "3", "--forms", "fp32", "bfloat16", "--each", "0.01"])
    report = json.loads((tmp_path / "network.json").read_text())
    found = {(r["batch"], r["form"]): r for r in report["results"]}
    assert list(found) == [(1, "fp32"), (1, "bfloat16"), (3, "fp32"), (3, "bfloat16")]
    # Float32 against itself, one image at a time.
    assert all(found[batch, "fp32"]["within_1_level"] == 1 for batch in (1, 3))
    assert 40 < found[3, "bfloat16"]["psnr_db"] < 80
    assert found[3, "bfloat16"]["limits"]["unfused_ms"] == pytest.approx(
        3 / 2 * found[1, "fp32"]["limits"]["unfused_ms"]
    )
    assert (tmp_path / "network.md").read_text().count("| 32x24 |") == 4
    assert "mixed float16, channels last, 32x24, batch 1" in (tmp_path / "profile.txt").read_text()


def test_a_case_that_fails_is_reported_and_the_others_go_on() -> None:
    # Graphs need a GPU; on one, memory may run out.
    case = network.Case("graph", 32, 24, 1, "fp32")
    if torch.cuda.is_available():
        pytest.skip("needs a machine without a GPU")
    record = network.try_case(FusionModule().eval(), case, RATES, 0.01, "cpu")
    assert record["way"] == "graph"
    assert record["failed"]
    assert "p50_ms" not in record


@pytest.mark.parametrize("name", FORMS)
def test_forms_compute_the_same_function(name: str) -> None:
    torch.manual_seed(0)
    module, form = FusionModule().eval(), FORMS[name]
    sources = torch.rand(1, 2, 12, 10)
    with torch.inference_mode(), form.settings():
        found = form.prepare(module)(sources)
        expected = module(sources)
    assert found.dtype is torch.float32
    assert {m.weight.dtype for m in module.modules() if isinstance(m, torch.nn.Conv2d)} == {torch.float32}
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-2)


def test_settings_are_put_back() -> None:
    before = torch.backends.cudnn.benchmark
    with FORMS["tf32"].settings():
        assert torch.backends.cudnn.allow_tf32
        assert torch.backends.cuda.matmul.allow_tf32
        assert torch.backends.cudnn.enabled
    assert torch.backends.cudnn.benchmark is before
