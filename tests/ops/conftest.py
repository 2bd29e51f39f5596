"""Fixtures of the tests of pre- and post-processing."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from types import ModuleType

import pytest

from refusion import ops


@pytest.fixture
def compiled() -> Iterator[ModuleType]:
    """The compiled module, with three threads however few processors there are."""
    module = pytest.importorskip("refusion._C", reason="the compiled module is not built")
    threads = module.thread_count()
    module.set_thread_count(3)
    yield module
    module.set_thread_count(threads)


@pytest.fixture
def fresh_choice() -> Iterator[None]:
    """Lets the facade choose its implementation anew, and once more for the tests that follow."""
    ops._choice.cache_clear()
    yield
    ops._choice.cache_clear()


@pytest.fixture(params=["numpy", "native"])
def each_implementation(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, fresh_choice: None
) -> str:
    """Runs a test of the facade on both implementations."""
    if request.param == "native":
        pytest.importorskip("refusion._C", reason="the compiled module is not built")
    monkeypatch.setenv("REFUSION_OPS", request.param)
    return str(request.param)


@pytest.fixture(params=["reference", "native"])
def operations(request: pytest.FixtureRequest) -> ModuleType:
    """Both implementations, without the checks of the facade."""
    if request.param == "native":
        pytest.importorskip("refusion._C", reason="the compiled module is not built")
    return importlib.import_module(f"refusion.ops.{request.param}")
