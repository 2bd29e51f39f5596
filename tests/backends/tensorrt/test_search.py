from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest
from engine_identity import DYNAMIC, IDENTITY
from fake_tensorrt import fake_tensorrt

from refusion.backends.tensorrt import search
from refusion.backends.tensorrt.identity import EngineRecord, ShapeProfile, this_platform
from refusion.backends.tensorrt.library import Flavour, Library
from refusion.backends.tensorrt.loading import engine_folders, find_engine
from refusion.backends.tensorrt.sidecar import sidecar_of, sidecar_text
from refusion.backends.tensorrt.signing import sign
from refusion.gpus import Gpu

H200 = Gpu("NVIDIA H200", (9, 0), 144384, False)
HERE = dataclasses.replace(IDENTITY, platform=this_platform())


@pytest.fixture(autouse=True)
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[Flavour]:
    """TensorRT 10.3 stands in for what is installed; returns what was imported."""
    asked: list[Flavour] = []

    def load(flavour: Flavour) -> Library:
        asked.append(flavour)
        return Library.of(flavour, fake_tensorrt("10"))

    monkeypatch.setattr(search, "available_flavours", lambda: (Flavour.tensorrt,))
    monkeypatch.setattr(search, "load_library", load)
    return asked


def write(folder: Path, *, built_at: str = "2026-01-01T00:00:00+00:00", **fields: Any) -> Path:
    identity = dataclasses.replace(HERE, **fields)
    plan = folder / f"{built_at[:10]}-{identity.file_name()}"
    plan.write_bytes(b"plan")
    record = EngineRecord(
        identity=identity,
        plan_sha256="2" * 64,
        plan_bytes=4,
        onnx_file="ivif.onnx",
        accuracy={},
        verification={},
        refusion_version="0.1.0",
        built_at=built_at,
        build_seconds=1.0,
    )
    sidecar_of(plan).write_text(sidecar_text(sign(record)))
    return plan


def find(*folders: Path, **changes: Any) -> Path | None:
    shape = {"batch": 1, "height": 480, "width": 640}
    return find_engine("ivif", "full", {"c" * 64}, folders=folders, gpu=H200, **(shape | changes))


def test_what_fits_is_found(tmp_path: Path, loaded: list[Flavour]) -> None:
    plan = write(tmp_path)
    assert find(tmp_path / "none", tmp_path) == plan
    assert loaded == [Flavour.tensorrt]


@pytest.mark.parametrize(
    "other",
    [
        {"task": "mif"},
        {"model": "lite"},
        {"checkpoint_sha256": "d" * 64},
        {"compute_capability": "sm89"},
        {"platform": "plan9-vax"},
        {"tensorrt_version": "10.4.0"},
        {"flavour": Flavour.tensorrt_rtx},
        {"profile": ShapeProfile((1, 64, 64), (1, 240, 320), (1, 479, 640))},
    ],
)
def test_what_does_not_fit_is_ignored(tmp_path: Path, other: dict[str, Any]) -> None:
    write(tmp_path, **other)
    assert find(tmp_path) is None


@pytest.mark.parametrize("shape", [{"height": 1081}, {"width": 63}, {"batch": 5}])
def test_a_profile_that_excludes_the_requested_size_does_not_fit(
    tmp_path: Path, shape: dict[str, int]
) -> None:
    write(tmp_path)
    assert find(tmp_path, **shape) is None


def test_no_library_is_imported_where_nothing_fits(tmp_path: Path, loaded: list[Flavour]) -> None:
    write(tmp_path, task="mif")
    assert find(tmp_path) is None
    assert loaded == []


def test_the_nearest_optimum_wins_then_the_newest(tmp_path: Path) -> None:
    write(tmp_path, profile=dataclasses.replace(DYNAMIC, optimum=(1, 720, 1280)), built_at="2026-05-01T0")
    write(tmp_path, built_at="2026-02-01T00:00:00+00:00")
    newest = write(tmp_path, built_at="2026-03-01T00:00:00+00:00")
    write(tmp_path, built_at="2026-01-01T00:00:00+00:00")
    assert find(tmp_path) == newest
    exact = write(tmp_path, profile=ShapeProfile.fixed(1, 600, 800))
    assert find(tmp_path, height=600, width=800) == exact
    assert find(tmp_path) == newest


def test_fp16_comes_before_fp32_and_this_gpu_model_before_others(tmp_path: Path) -> None:
    other = write(tmp_path, gpu_name="NVIDIA H100 PCIe", built_at="2026-03-01T00:00:00+00:00")
    assert find(tmp_path) == other
    own = write(tmp_path)
    assert find(tmp_path) == own
    write(tmp_path, precision="fp32", profile=ShapeProfile.fixed(1, 480, 640))
    assert find(tmp_path) == own


def test_foreign_damaged_and_incomplete_engines_are_ignored(tmp_path: Path) -> None:
    unsigned = write(tmp_path, built_at="2026-01-01T0")
    text = sidecar_of(unsigned).read_text()
    sidecar_of(unsigned).write_text(text.replace('"signature": "', '"signature": "f'))
    sidecar_of(write(tmp_path, built_at="2026-01-02T0")).write_text("junk")
    sidecar_of(write(tmp_path, built_at="2026-01-03T0")).unlink()
    write(tmp_path, built_at="2026-01-04T0").unlink()
    write(tmp_path, built_at="2026-01-05T0").write_bytes(b"pla")
    (tmp_path / "folder.plan").mkdir()
    assert find(tmp_path) is None
    assert find(tmp_path, trust=True) == unsigned


def test_hundreds_of_engines_open_no_plan(tmp_path: Path) -> None:
    for index in range(300):
        write(tmp_path, onnx_sha256=f"{index:064}", task="mif")
    plan = write(tmp_path)
    for path in tmp_path.glob("*.plan"):
        # Opening one would block for good.
        path.unlink()
        if path != plan:
            os.mkfifo(path)
    plan.write_bytes(b"plan")
    assert find(tmp_path) == plan


def test_engine_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert engine_folders() == (Path("engines"),)
    monkeypatch.setenv("REFUSION_ENGINES", os.pathsep.join((str(tmp_path / "a"), "", "b")))
    assert engine_folders() == (tmp_path / "a", Path("b"))
    monkeypatch.setenv("REFUSION_ENGINES", str(tmp_path))
    plan = write(tmp_path)
    assert find_engine("ivif", "full", ["c" * 64], gpu=H200, batch=1, height=480, width=640) == plan
