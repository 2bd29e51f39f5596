from __future__ import annotations

import enum
from types import SimpleNamespace
from typing import Any

import pytest

from refusion.export import tactic_sources
from refusion.export.tactic_sources import leave_out_missing_sources

NAMES = ("CUBLAS", "CUBLAS_LT", "CUDNN", "EDGE_MASK_CONVOLUTIONS", "JIT_CONVOLUTIONS")
CORE = "DISABLE_EXTERNAL_TACTIC_SOURCES_FOR_CORE_0805"


class Config:
    """The part of TensorRT's IBuilderConfig that deals with sources."""

    def __init__(self, sources: int) -> None:
        self.sources = sources
        self.features: dict[Any, bool] = {}

    def get_tactic_sources(self) -> int:
        return self.sources

    def set_tactic_sources(self, sources: int) -> bool:
        self.sources = sources
        return True

    def set_preview_feature(self, feature: Any, value: bool) -> None:
        self.features[feature] = value


@pytest.fixture
def module() -> Any:
    """TensorRT 8.5.3.1's names."""
    return SimpleNamespace(
        TacticSource=enum.IntEnum("TacticSource", {name: index for index, name in enumerate(NAMES)}),
        PreviewFeature=enum.Enum("PreviewFeature", ["FASTER_DYNAMIC_SHAPES_0805", CORE]),
    )


@pytest.mark.parametrize(
    ("installed", "left", "missing"),
    [
        ((), 0b11000, ("CUBLAS", "CUBLAS_LT", "CUDNN")),
        (("libcublas.so.11", "libcublasLt.so.11"), 0b11011, ("CUDNN",)),
        (("libcublas.so.12", "libcublasLt.so.12", "libcudnn.so.8"), 0b11111, ()),
    ],
)
def test_sources_whose_libraries_are_missing_are_switched_off(
    module: Any,
    monkeypatch: pytest.MonkeyPatch,
    installed: tuple[str, ...],
    left: int,
    missing: tuple[str, ...],
) -> None:
    monkeypatch.setattr(tactic_sources, "_loads", lambda library: library in installed)
    config = Config(0b11111)
    assert leave_out_missing_sources(module, config) == missing
    assert config.sources == left
    assert config.features == ({module.PreviewFeature[CORE]: True} if missing else {})


def test_what_is_off_by_default_is_not_looked_for(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tactic_sources, "_loads", pytest.fail)
    config = Config(0b11000)
    assert leave_out_missing_sources(module, config) == ()
    assert config.sources == 0b11000


def test_libraries_are_tried_for_real() -> None:
    assert tactic_sources._loads("libc.so.6")
    assert not tactic_sources._loads("libcudnn.so.0")
