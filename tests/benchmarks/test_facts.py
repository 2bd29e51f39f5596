"""What reports state of the machine."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from fake_nvml import fake_nvml

from refusion import __version__
from refusion.benchmarks import facts as module
from refusion.benchmarks.facts import facts, gpu_facts
from refusion.gpus import Gpu, GpuReport


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two GPUs that CUDA sees."""
    found = tuple(Gpu(name, (9, 0), 81920, False) for name in ("first", "second"))
    monkeypatch.setattr(module, "find_gpus", lambda: GpuReport(found, ""))


def test_the_facts_of_any_machine() -> None:
    found = facts(3)
    assert (found["refusion"], found["threads"]) == (__version__, 3)
    assert {"date", "commit", "processor", "load_average_1min", "python", "numpy"} <= found.keys()


def test_board_power_mode_and_governor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model").write_text("NVIDIA Jetson Orin Nano\0")
    (tmp_path / "governor").write_text("schedutil\n")
    tool = tmp_path / "nvpmodel"
    tool.write_text('#!/bin/sh\ntest "$1" = -q && printf "NV Power Mode: 15W\\n0\\n"\n')
    tool.chmod(0o755)
    monkeypatch.setattr(module, "_BOARD", tmp_path / "model")
    monkeypatch.setattr(module, "_GOVERNOR", tmp_path / "governor")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found = facts(0)
    stated = {name: found[name] for name in ("board", "cpu_governor", "power_mode")}
    assert stated == {
        "board": "NVIDIA Jetson Orin Nano",
        "cpu_governor": "schedutil",
        "power_mode": "NV Power Mode: 15W 0",
    }


def test_gpus_and_what_the_driver_tells_of_the_first(gpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = {"compute_capability": "sm90", "memory_mib": 81920, "is_integrated": False}
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert gpu_facts() == [{"name": "first", **plain}, {"name": "second", **plain}]
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml())
    first, second = gpu_facts()
    assert (first["name"], first["driver"], first["power_limit_w"]) == ("Fake GPU", "570.1", 700)
    assert second == {"name": "second", **plain}
