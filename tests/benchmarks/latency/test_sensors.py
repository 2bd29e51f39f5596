"""What platforms tell of power, clocks and memory: as their files, tools and libraries do."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
from fake_nvml import fake_nvml

from refusion.benchmarks.latency.kernel_sensors import CpuClocks, RaplZone
from refusion.benchmarks.latency.nvml import NvmlGpu
from refusion.benchmarks.latency.power import PowerPlan, measure_power
from refusion.benchmarks.latency.sensors import Log, find_sensors, opened_sensors
from refusion.benchmarks.latency.tegrastats import Tegrastats, parse
from refusion.errors import BackendError

ORIN_NANO = (
    "01-18-2026 12:34:56 RAM 2842/7620MB (lfb 6x4MB) SWAP 0/3810MB (cached 0MB) "
    "CPU [1%@729,0%@1510,off,off] EMC_FREQ 2%@2133 GR3D_FREQ 97%@[624] NVDEC off APE 174 "
    "cpu@48.5C soc2@47.7C gpu@46.25C tj@48.6C VDD_IN 9915mW/4915mW VDD_CPU_GPU_CV 3600mW/600mW "
    "VDD_SOC 1400mW/1400mW"
)
AGX_ORIN = (
    "RAM 20642/62817MB (lfb 1x2MB) CPU [23%@2201,10%@2201] EMC_FREQ 3%@3199 GR3D_FREQ 12%@[1300,1300] "
    "CPU@52.9C GPU@47.6C VDD_GPU_SOC 5139mW/5139mW/5139mW VDD_CPU_CV 3268mW/3268mW/3268mW "
    "VIN_SYS_5V0 5500mW/5500mW/5500mW VDDQ_VDD2_1V8AO 503mW/503mW/503mW"
)
NANO = "RAM 1846/3964MB (lfb 4x4MB) CPU [2%@102,1%@102] EMC_FREQ 0% GR3D_FREQ 5% POM_5V_IN 2409/2412"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            ORIN_NANO,
            {
                "power_w": 9.915,
                "vdd_in_w": 9.915,
                "vdd_cpu_gpu_cv_w": 3.6,
                "vdd_soc_w": 1.4,
                "gpu_clock_mhz": 624,
                "gpu_load_percent": 97,
                "memory_clock_mhz": 2133,
                "memory_used_mib": 2842,
                "temperature_c": 46.25,
                "cpu_clock_mhz": (729 + 1510) / 2,
            },
        ),
        (
            AGX_ORIN,
            {
                # Of three rails: the fourth is fed by the third.
                "power_w": 5.139 + 3.268 + 5.5,
                "vdd_gpu_soc_w": 5.139,
                "vdd_cpu_cv_w": 3.268,
                "vin_sys_5v0_w": 5.5,
                "vddq_vdd2_1v8ao_w": 0.503,
                "gpu_clock_mhz": 1300,
                "gpu_load_percent": 12,
                "memory_clock_mhz": 3199,
                "memory_used_mib": 20642,
                "temperature_c": 47.6,
                "cpu_clock_mhz": 2201,
            },
        ),
        (
            NANO,
            {
                "power_w": 2.409,
                "pom_5v_in_w": 2.409,
                "gpu_load_percent": 5,
                "memory_used_mib": 1846,
                "cpu_clock_mhz": 102,
            },
        ),
        ("GR3D_FREQ @[1000,1000,1000] VIN 9000mW/9000mW", {"power_w": 9, "vin_w": 9, "gpu_clock_mhz": 1000}),
        ("", {}),
    ],
)
def test_lines_of_tegrastats(line: str, expected: dict[str, float]) -> None:
    assert parse(line) == pytest.approx(expected)


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a script called tegrastats where commands are looked for."""

    def write(script: str) -> None:
        path = tmp_path / "tegrastats"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    return write


def test_tegrastats_runs_until_it_is_closed(command: Callable[[str], None]) -> None:
    command(f'test "$*" = "--interval 100" && echo "{ORIN_NANO}" && exec sleep 60')
    sensor = Tegrastats()
    assert sensor.read()["power_w"] == 9.915
    sensor.close()
    sensor.close()
    assert sensor.read()["gpu_clock_mhz"] == 624


@pytest.mark.parametrize("script", ["echo something else", "exit 1"])
def test_another_tegrastats_is_refused(command: Callable[[str], None], script: str) -> None:
    command(script)
    with pytest.raises(BackendError, match="tegrastats: printed nothing that is known here"):
        Tegrastats()


def zone(root: Path, folder: str, name: str, energy_uj: int) -> Path:
    path = root / folder
    path.mkdir(parents=True)
    (path / "name").write_text(f"{name}\n")
    (path / "max_energy_range_uj").write_text("999\n")
    (path / "energy_uj").write_text(f"{energy_uj}\n")
    return path


def test_counters_of_energy_go_on_past_their_range(tmp_path: Path) -> None:
    package = zone(tmp_path, "intel-rapl:0", "package-0", 900)
    zone(tmp_path, "intel-rapl:0:0", "core", 1)
    zone(tmp_path, "intel-rapl:0:1", "dram", 5)
    sensors = RaplZone.find(tmp_path)
    assert [sensor.name for sensor in sensors] == ["package-0 (RAPL)", "dram (RAPL)"]
    assert sensors[0].read() == {"energy_j": 0}
    (package / "energy_uj").write_text("950")
    assert sensors[0].read() == pytest.approx({"energy_j": 50e-6})
    (package / "energy_uj").write_text("20")
    assert sensors[0].read() == pytest.approx({"energy_j": 120e-6})
    with pytest.raises(BackendError, match="RAPL: no energy counters in .*none"):
        RaplZone.find(tmp_path / "none")


def test_counters_that_only_root_may_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = zone(tmp_path, "intel-rapl:0", "package-0", 900)
    read_text = Path.read_text

    def refused(path: Path) -> str:
        # Tests may be run by root, whom no mode keeps out.
        if path.name == "energy_uj":
            raise PermissionError
        return read_text(path)

    monkeypatch.setattr(Path, "read_text", refused)
    with pytest.raises(BackendError, match="energy_uj is readable to root alone"):
        RaplZone(folder)


def test_clocks_of_the_cores_that_may_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, clock_khz in enumerate((1_000_000, 3_000_000, 9_000_000)):
        folder = tmp_path / f"cpu{number}" / "cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_cur_freq").write_text(f"{clock_khz}\n")
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0, 1})
    assert CpuClocks(tmp_path).read() == {"clock_mhz": 2000}
    with pytest.raises(BackendError, match="processor clocks: no cpufreq in"):
        CpuClocks(tmp_path / "cpu0")


@pytest.mark.parametrize(
    ("visible", "handle"), [("", 0), ("2,0", 2), ("GPU-8a7b,1", "GPU-8a7b"), ("MIG-1", "MIG-1")]
)
def test_the_gpu_that_cuda_sees_first(
    monkeypatch: pytest.MonkeyPatch, visible: str, handle: int | str
) -> None:
    nvml = fake_nvml()
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    gpu = NvmlGpu()
    assert nvml.handles == [handle]
    assert gpu.name == "Fake GPU (NVML)"
    told = gpu.read()
    assert told.pop("energy_j") > 0
    assert told == {
        "power_w": 120.5,
        "sm_clock_mhz": 1500,
        "memory_clock_mhz": 2600,
        "temperature_c": 41,
        "memory_used_mib": 1000,
    }
    assert gpu.facts() == {
        "name": "Fake GPU",
        "driver": "570.1",
        "cuda_of_driver": "12.8",
        "memory_mib": 80 << 10,
        "power_limit_w": 700,
        "most_sm_clock_mhz": 1980,
        "most_memory_clock_mhz": 2619,
    }
    gpu.close()
    gpu.close()
    assert nvml.users == 0


def test_what_a_gpu_does_not_tell_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml(tells_energy=False))
    assert "energy_j" not in NvmlGpu().read()
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml(has_driver=False))
    with pytest.raises(BackendError, match="NVML: NVML Shared Library Not Found"):
        NvmlGpu()
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(BackendError, match="NVML: nvidia-ml-py is not installed"):
        NvmlGpu()


def test_sensors_of_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = fake_nvml()
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    monkeypatch.setenv("PATH", "")
    found, missing = find_sensors()
    assert found[0].name == "Fake GPU (NVML)"
    assert "tegrastats: not installed; it is part of Jetson Linux" in missing
    with opened_sensors(telling="memory_used_mib") as sensors:
        assert [sensor.name for sensor in sensors] == ["Fake GPU (NVML)"]
    for sensor in found:
        sensor.close()
    assert nvml.users == 0


def test_memory_that_grows_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = fake_nvml()
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    with Log([NvmlGpu()]) as log:
        nvml.used_bytes += 300 << 20
    assert log.growths()["Fake GPU (NVML): memory_used_mib"] == 300


def test_power_is_that_of_the_counter_and_energy_is_a_frame_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml())
    calls: list[None] = []
    plan = PowerPlan(lambda: nullcontext([NvmlGpu()]), settle_s=0.0, least_s=0.0)
    found = measure_power(lambda: calls.append(None), 2, plan)
    assert found is not None
    # At the beginning and at the end.
    power_w = found.sensors["Fake GPU (NVML)"]["power_w"]
    assert power_w["largest"] == 120.5
    assert power_w["mean"] * found.seconds == pytest.approx(5.0, rel=0.01)
    assert (found.frames, len(calls)) == (2, 1)
    assert found.as_json()["energy_j_per_frame"] == {"Fake GPU (NVML)": pytest.approx(2.5, rel=0.01)}
    assert found.sensors["Fake GPU (NVML)"]["sm_clock_mhz"] == {"mean": 1500, "least": 1500, "largest": 1500}


def test_without_sensors_nothing_is_run() -> None:
    assert measure_power(lambda: pytest.fail("was run"), 1, PowerPlan()) is None
