"""What the GPU jobs measure of an engine (refusion.benchmarks.gpu.engine_runs), on the fake GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch", reason="torch is not installed")

from refusion.benchmarks.gpu import engine_runs
from refusion.benchmarks.gpu.limits import Rates
from refusion.benchmarks.gpu.references import Reference, compute
from refusion.errors import BackendError

from .fake_work import FakeContext

if TYPE_CHECKING:
    from .conftest import Rig

RATES = Rates(1e12, 1e14)


@pytest.fixture(scope="module")
def reference() -> Reference:
    return compute("48x32", "cpu")


@pytest.fixture(autouse=True)
def few_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_runs, "FEWEST_CALLS", 3)


@pytest.mark.parametrize("batch", [1, 3])
def test_an_engine_is_compared_and_timed(rig_lazy: Rig, reference: Reference, batch: int) -> None:
    record = engine_runs.measure(rig_lazy.load(), reference, batch, RATES, seconds=0)
    assert (record["size"], record["batch"]) == ("48x32", batch)
    assert record["within_1_level"] == 1
    # The fake's events are 1 ms apart.
    assert record["engine"] == {"p50_ms": 1.0, "p99_ms": 1.0, "calls": 3}
    assert record["engine_runs_as"] == "CUDA graph"
    assert record["end_to_end"]["calls"] == 3
    assert record["end_to_end_steady_ms"] > 0
    assert "CUDA" in record["end_to_end_on"]
    pixels = 48 * 32 * batch
    assert record["times_fused_limit"] == pytest.approx(1e-3 / (pixels * 1100 / 1e12))
    assert rig_lazy.gpu is not None
    assert rig_lazy.gpu.memory == {}


def test_a_refused_capture_is_said(rig_lazy: Rig, reference: Reference, engine: Any) -> None:
    engine.refuses_capture = True
    _, way = engine_runs.time_network(rig_lazy.load(), reference, 1, seconds=0)
    assert way.startswith("enqueued (")


def test_the_engines_times_are_kept_where_frames_fail(
    rig_lazy: Rig, reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise BackendError("compiled without CUDA")

    monkeypatch.setattr(engine_runs, "time_frames", fail)
    record = engine_runs.measure(rig_lazy.load(), reference, 1, RATES, seconds=0)
    assert record["end_to_end_problem"] == "compiled without CUDA"
    assert record["engine"]["p50_ms"] == 1.0


def test_layers_are_listed_longest_first(
    rig_lazy: Rig, reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    class IProfiler:
        """TensorRT's base."""

    run = FakeContext.execute_async_v3

    def profiled(context: Any, handle: int) -> bool:
        for name, milliseconds in (("head|gate", 0.25), ("block", 0.75)):
            context.profiler.report_layer_time(name, milliseconds)
        return run(context, handle)

    loaded = rig_lazy.load()
    loaded.library.module.IProfiler = IProfiler
    monkeypatch.setattr(FakeContext, "execute_async_v3", profiled)
    text = engine_runs.layer_times(loaded, reference, 2)
    assert text.splitlines() == [
        "2 layers, 1.000 ms a call of 2 pairs of 48x32, profiled",
        "",
        "| layer | ms | share |",
        "|---|---|---|",
        "| block | 0.75 | 75.0% |",
        "| head/gate | 0.25 | 25.0% |",
    ]
    monkeypatch.setattr(FakeContext, "execute_async_v3", run)
    assert "reported no layers" in engine_runs.layer_times(loaded, reference, 1)
