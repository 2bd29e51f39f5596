from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")

from refusion import InputError
from refusion.benchmarks.gpu import references
from refusion.benchmarks.gpu.references import Reference, compute, load_rates


def test_references_are_read_as_they_were_written(tmp_path: Path) -> None:
    computed = compute("48x32", "cpu")
    assert computed.sources.shape == (2, 2, 32, 48)
    assert computed.fused.shape == (2, 1, 32, 48)
    assert computed.a[0].shape[:2] == (32, 48)
    computed.save(tmp_path)
    found = Reference.load("48x32", tmp_path)
    np.testing.assert_array_equal(found.fused, computed.fused)
    np.testing.assert_array_equal(found.b[1], computed.b[1])
    sources, fused = found.batch(5)
    assert sources.flags.c_contiguous
    np.testing.assert_array_equal(sources[4], computed.sources[0])
    np.testing.assert_array_equal(fused[3], computed.fused[1])
    assert [np.array_equal(a, computed.a[i % 2]) for i, (a, _) in enumerate(found.frames(3))] == [True] * 3


def test_the_job_leaves_references_and_rates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "FOLDER", tmp_path)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("refusion.benchmarks.gpu.stopwatch.RATE_SECONDS", 0.01)
    references.main(["--sizes", "32x24"])
    assert (tmp_path / "32x24.npz").is_file()
    assert load_rates(tmp_path).copy_bytes_per_s > 0
    with pytest.raises(InputError, match=r"there is no .*8x8.npz: run `bash .* references --sizes 8x8`"):
        Reference.load("8x8", tmp_path)
