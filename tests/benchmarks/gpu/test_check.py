from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("torch", reason="torch is not installed")

import torch

from refusion.benchmarks.gpu import check


@pytest.fixture
def one_thread() -> Iterator[None]:
    """On mini-batches this small a second thread costs more than it gives."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
def test_the_cpu_passes_its_own_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "ROUNDS", 1)
    monkeypatch.setattr(check, "PATCH_PX", 16)
    checks = check.compare("cpu")
    assert len(checks) == 10
    assert [c for c in checks if not c.passed] == []
    exact = [c for c in checks if c.name.startswith("float32")]
    assert all(c.value == pytest.approx(round(c.limit), abs=1e-9) for c in exact)
