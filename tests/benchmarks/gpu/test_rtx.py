"""The job for TensorRT-RTX, with the fake library."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engine_builds import build, library_of

pytest.importorskip("onnx", reason="onnx is not installed")

from refusion.benchmarks.gpu import rtx


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """An engine for another GPU than the one at hand."""
    return build(tmp_path / "engines", "rtx", gpu=None, target="sm89").path


def test_an_engine_for_another_gpu_is_handed_to_the_library(plan: Path) -> None:
    library = library_of("rtx")
    tried, loaded = rtx.try_engine(plan, library)
    assert (tried["built_for"], tried["outcome"]) == ("sm89", "deserialised")
    assert loaded is not None
    assert loaded.profile == loaded.record.identity.profile  # type: ignore[union-attr]
    assert "host code False" in library.module.calls


def version_of_another(library: Any, plan: Path) -> None:
    library.module.__version__ = "1.6.0"


def flipped_byte(library: Any, plan: Path) -> None:
    data = bytearray(plan.read_bytes())
    data[-1] ^= 1
    plan.write_bytes(data)


@pytest.mark.parametrize(
    ("change", "outcome", "log"),
    [
        (version_of_another, "refused", "ERROR: Version tag does not match"),
        (flipped_byte, "damaged on the way: not tried", ""),
    ],
)
def test_what_the_library_says_is_kept(
    plan: Path, change: Callable[[Any, Path], None], outcome: str, log: str
) -> None:
    library = library_of("rtx")
    change(library, plan)
    tried, loaded = rtx.try_engine(plan, library)
    assert tried["outcome"] == outcome
    assert log in " ".join(tried.get("log", []))
    assert loaded is None
    assert ("deserialize" in library.module.calls) is bool(log)
