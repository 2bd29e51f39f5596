"""Engines built and loaded by the TensorRT libraries that are installed, on this machine's GPU."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine_builds import Lines, build
from tiny_onnx import write_tiny_onnx

from refusion.backends.tensorrt.library import Flavour, available_flavours, load_library
from refusion.backends.tensorrt.loading import load_engine
from refusion.export.timing_cache import timing_cache_path
from refusion.gpus import Gpu, find_gpus

pytest.importorskip("onnx", reason="onnx is not installed")


@pytest.fixture
def gpu() -> Gpu:
    report = find_gpus()
    if not report.gpus:
        pytest.skip(f"no GPU: {report.problem}")
    return report.gpus[0]


@pytest.mark.gpu
@pytest.mark.parametrize("flavour", Flavour)
def test_what_is_built_here_is_loaded_here(tmp_path: Path, gpu: Gpu, flavour: Flavour) -> None:
    if flavour not in available_flavours():
        pytest.skip(f"{flavour.value.title} is not installed")
    library = load_library(flavour)
    onnx = write_tiny_onnx(tmp_path / "tiny.onnx", form=library.onnx_form)
    lines = Lines()
    built = build(tmp_path / "engines", library=library, onnx=onnx, gpu=gpu, report=lines)
    assert lines == []
    assert timing_cache_path(library, gpu).exists() is flavour.value.has_timing_cache
    loaded = load_engine(built.path, library=library, gpu=gpu)
    assert loaded.record == built.record
    assert loaded.profile == built.record.identity.profile
