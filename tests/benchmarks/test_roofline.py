"""The roofline as a command: rates that were measured, shares of them, predictions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="torch is not installed")

from refusion.benchmarks import roofline
from refusion.benchmarks.facts import facts
from refusion.benchmarks.latency import FORMAT
from refusion.benchmarks.reports import write_report
from refusion.benchmarks.roofline import Count, closeness, count, floor
from refusion.benchmarks.roofline_devices import DEVICES
from refusion.benchmarks.roofline_rates import DeviceRates, Product
from refusion.benchmarks.roofline_tables import report_text
from refusion.errors import InputError
from refusion.models import Model

SIZE = (96, 64)


def latency_report(**changed: Any) -> dict[str, Any]:
    """Return what the roofline reads of a latency report: the full network, half a second for two frames."""
    result = {
        "title": "full, native",
        "model": "full",
        "runner": "native",
        "precision": "float32",
        "size": list(SIZE),
        "batch": 2,
        "network": {"p50_ms": 500.0},
    }
    return {"format": FORMAT, "facts": facts(1), "network": [result | changed]}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the command writes of this machine, one thread, measured in no time."""
    path = tmp_path_factory.mktemp("latency") / "latency.json"
    write_report(path, latency_report(), force=False)
    return roofline.run([path], 1, seconds=0.01)


def test_a_floor_is_the_larger_of_arithmetic_and_traffic() -> None:
    counted = Count("full", "float32", SIZE, 2_000_000, 1_000_000, 8_000_000, 6, 1_000)
    bound_by_memory = floor(counted, flops_per_s=2e9, bytes_per_s=5e8)
    assert (bound_by_memory.products_ms, bound_by_memory.traffic_ms) == (1.0, 2.0)
    assert (bound_by_memory.ms, bound_by_memory.bound, bound_by_memory.layers_ms) == (2.0, "memory", 16.0)
    bound_by_products = floor(counted, flops_per_s=1e8, bytes_per_s=5e8)
    assert (bound_by_products.ms, bound_by_products.bound) == (20.0, "products")


def test_shares_are_of_a_frame_and_of_the_devices_own_rates() -> None:
    cpu = DeviceRates(1e12, {"float32": Product(1e12, "x")})
    gpu = DeviceRates(1e12, {"float16": Product(1e15, "x")})
    (found,) = closeness(latency_report(), {"cpu": cpu})
    flops = count(Model.full, "float32", SIZE).flops
    assert found["bound"] == "products"
    assert found["frame_ms"] == 250
    assert found["share"] == pytest.approx(flops / 1e12 / 0.25, rel=0.01)
    on_gpu = latency_report(device="cuda", precision="float16")
    assert not list(closeness(on_gpu, {"cpu": cpu}))
    assert not list(closeness(latency_report(size=[64, 48]), {"cpu": cpu}))
    (found,) = closeness(on_gpu, {"cpu": cpu, "cuda": gpu})
    assert found["products_ms"] == pytest.approx(flops / 1e12, rel=0.01)


def test_the_report_has_rates_counts_shares_and_predictions(report: dict[str, Any]) -> None:
    assert report["format"] == roofline.FORMAT
    assert report["rates"]["cpu"]["copy_bytes_per_s"] > 1e8
    assert {"float32", "bfloat16"} <= report["rates"]["cpu"]["products"].keys()
    assert {(one["model"], one["precision"]) for one in report["counts"]} == {
        (model.name, precision) for model in Model for precision in ("float32", "float16")
    }
    assert 0 < report["closeness"][0]["share"] < 1
    assert len(report["predictions"]) == len(DEVICES) * len(Model) * len(roofline.SIZES)
    for one in report["predictions"]:
        assert one["floor_ms"] == max(one["products_ms"], one["traffic_ms"]) < one["layers_ms"]
    text = report_text(report)
    assert "| full, native " in text
    assert "| prediction, float16 " in text
    assert all(device.source in text for device in DEVICES)


def test_times_of_another_machine_are_refused(tmp_path: Path) -> None:
    other = latency_report()
    other["facts"]["processor"] = "abacus"
    path = tmp_path / "other.json"
    path.write_text(json.dumps(other))
    with pytest.raises(InputError, match="measured on another machine: processor 'abacus', here "):
        roofline.run([path], 1)
