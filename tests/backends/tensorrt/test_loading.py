from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engine_builds import H200, PROFILE, build, library_of, told
from fake_tensorrt import MAGIC
from tiny_onnx import write_tiny_onnx

from refusion import BackendError, InputError
from refusion.backends.tensorrt.identity import EngineRecord
from refusion.backends.tensorrt.library import Flavour, Library, load_library
from refusion.backends.tensorrt.loading import load_engine
from refusion.backends.tensorrt.sidecar import sidecar_of, sidecar_text
from refusion.backends.tensorrt.signing import key_path, sign
from refusion.export.engine import BuiltEngine
from refusion.gpus import Gpu, GpuReport

pytest.importorskip("onnx", reason="onnx is not installed")

H100 = Gpu("NVIDIA H100 PCIe", (9, 0), 81920, False)
ORIN = Gpu("Orin", (8, 7), 62000, True)


@pytest.fixture
def library() -> Library:
    return library_of("10")


@pytest.fixture
def built(tmp_path: Path, library: Library) -> BuiltEngine:
    return build(
        tmp_path, library=library, onnx=write_tiny_onnx(tmp_path / "ivif.onnx", form=library.onnx_form)
    )


@pytest.mark.parametrize("generation", ["8.5", "8.6", "10", "11", "rtx"])
def test_an_engine_of_each_generation_is_loaded(tmp_path: Path, generation: str) -> None:
    library = library_of(generation)
    built = build(
        tmp_path, library=library, onnx=write_tiny_onnx(tmp_path / "ivif.onnx", form=library.onnx_form)
    )
    loaded = load_engine(built.path, library=library, gpu=H200)
    assert loaded.record == built.record
    assert loaded.profile == PROFILE
    assert loaded.notes == ()
    host_code = [] if generation == "8.5" else ["host code False"]
    assert library.module.calls == [*host_code, "deserialize"]


@pytest.mark.parametrize("place", [0, 0.5, -1])
@pytest.mark.parametrize("trust", [False, True])
def test_a_flipped_byte_is_refused_before_deserialising(
    built: BuiltEngine, library: Library, place: float, trust: bool
) -> None:
    data = bytearray(built.path.read_bytes())
    data[int(place * len(data))] ^= 1
    built.path.write_bytes(data)
    with pytest.raises(BackendError, match=r"is damaged or was replaced, and was not loaded.*--force`"):
        load_engine(built.path, library=library, gpu=H200, trust=trust)
    assert library.module.calls == []


@pytest.mark.parametrize("content", [b"", b"junk", b"FAKEPLAN"])
def test_a_replaced_plan_is_refused_before_deserialising(
    built: BuiltEngine, library: Library, content: bytes
) -> None:
    built.path.write_bytes(content)
    with pytest.raises(BackendError, match="is damaged or was replaced"):
        load_engine(built.path, library=library, gpu=H200)
    assert library.module.calls == []


def test_a_plan_without_a_record_needs_trust(built: BuiltEngine, library: Library) -> None:
    sidecar_of(built.path).unlink()
    with pytest.raises(BackendError, match=r"is a foreign engine: it has no record beside it .*--trust"):
        load_engine(built.path, library=library, gpu=H200)
    assert library.module.calls == []
    loaded = load_engine(built.path, library=library, gpu=H200, trust=True)
    assert loaded.record is None
    assert loaded.profile == PROFILE


def rewrite(plan: Path, record: EngineRecord) -> None:
    sidecar_of(plan).write_text(sidecar_text(record))


def test_a_plan_of_another_user_needs_trust(built: BuiltEngine, library: Library) -> None:
    key_path().write_bytes(b"k" * 32)
    try:
        with pytest.raises(BackendError, match="was not signed with your key: another user or machine"):
            load_engine(built.path, library=library, gpu=H200)
        assert load_engine(built.path, library=library, gpu=H200, trust=True).record == built.record
    finally:
        key_path().unlink()
    rewrite(built.path, dataclasses.replace(built.record, signature=""))
    with pytest.raises(BackendError, match="is a foreign engine: its record is not signed"):
        load_engine(built.path, library=library, gpu=H200)


def test_a_forged_record_of_a_replaced_plan_is_foreign(built: BuiltEngine, library: Library) -> None:
    built.path.write_bytes(b"machine code of someone")
    forged = hashlib.sha256(built.path.read_bytes()).hexdigest()
    rewrite(built.path, dataclasses.replace(built.record, plan_sha256=forged))
    with pytest.raises(BackendError, match="was not signed with your key"):
        load_engine(built.path, library=library, gpu=H200)
    assert library.module.calls == []


def test_a_junk_plan_with_a_good_record_gives_the_librarys_reason(
    built: BuiltEngine, library: Library
) -> None:
    built.path.write_bytes(b"junk")
    digest = hashlib.sha256(b"junk").hexdigest()
    rewrite(built.path, sign(dataclasses.replace(built.record, plan_sha256=digest, plan_bytes=4)))
    with pytest.raises(BackendError, match=r"TensorRT 10.3.0 does not load .*: Serialization assertion"):
        load_engine(built.path, library=library, gpu=H200)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"tensors": ["image", "logits"]}, "expected the tensors sources and fused, found image, logits"),
        ({"profile": {"sources": [[1, 3, 8, 8]] * 3}}, r"expected sources of shape .batch, 2, .*1, 3, 8, 8"),
        ({"profile": {"sources": [[2, 8, 8]] * 3}}, r"expected sources of shape .*found .*2, 8, 8"),
    ],
)
def test_an_engine_of_another_network_is_refused(
    built: BuiltEngine, library: Library, change: dict[str, Any], says: str
) -> None:
    built.path.write_bytes(MAGIC + json.dumps(told(built) | change).encode())
    sidecar_of(built.path).unlink()
    with pytest.raises(BackendError, match=says):
        load_engine(built.path, library=library, gpu=H200, trust=True)


@pytest.mark.parametrize("trust", [False, True])
@pytest.mark.parametrize("content", ["junk", "", '{"format": 99}'])
def test_a_damaged_record_is_refused(built: BuiltEngine, library: Library, content: str, trust: bool) -> None:
    sidecar_of(built.path).write_text(content)
    with pytest.raises(BackendError, match=r"plan.json (is damaged|has format 99)"):
        load_engine(built.path, library=library, gpu=H200, trust=trust)
    assert library.module.calls == []


def test_a_missing_plan_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no engine .*none.plan"):
        load_engine(tmp_path / "none.plan", gpu=H200)
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        load_engine(tmp_path, gpu=H200)


def test_without_a_gpu_the_reason_is_given(built: BuiltEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    none = GpuReport((), "no driver")
    monkeypatch.setattr("refusion.backends.tensorrt.loading.find_gpus", lambda: none)
    with pytest.raises(BackendError, match="needs an NVIDIA GPU, and none was found: no driver"):
        load_engine(built.path)


def no_onnx(built: BuiltEngine) -> None:
    built.path.with_name(built.record.onnx_file).unlink()


def other_onnx(built: BuiltEngine) -> None:
    built.path.with_name(built.record.onnx_file).write_bytes(b"other")


MISFITS = [
    (library_of("10", version="10.4.0"), H200, "built by TensorRT 10.3.0, this is TensorRT 10.4.0"),
    (library_of("rtx"), H200, "built by TensorRT, this is TensorRT-RTX 1.7.1.116"),
    (library_of("10"), ORIN, "built for sm90 NVIDIA H200, this GPU is sm87 Orin"),
]


@pytest.mark.parametrize("spoil", [no_onnx, other_onnx])
@pytest.mark.parametrize(("other", "gpu", "says"), MISFITS)
def test_what_does_not_fit_is_refused_with_both_sides(
    built: BuiltEngine, other: Library, gpu: Gpu, says: str, spoil: Callable[[BuiltEngine], None]
) -> None:
    spoil(built)
    other.module.calls.clear()
    with pytest.raises(BackendError, match=rf"does not fit: it was {says}.*`refusion export --task ivif"):
        load_engine(built.path, library=other, gpu=gpu)
    assert other.module.calls == []


@pytest.mark.parametrize(("other", "gpu", "says"), MISFITS)
def test_what_does_not_fit_is_built_again_from_its_onnx(
    built: BuiltEngine, other: Library, gpu: Gpu, says: str
) -> None:
    lines: list[str] = []
    loaded = load_engine(built.path, library=other, gpu=gpu, report=lines.append)
    assert loaded.path != built.path
    assert loaded.record is not None
    assert loaded.record.identity.tensorrt_version == other.version
    assert loaded.record.identity.compute_capability == gpu.sm
    assert loaded.record.identity.profile == PROFILE
    assert any(says in line and "building one from ivif.onnx" in line for line in lines)
    lines.clear()
    assert load_engine(built.path, library=other, gpu=gpu, report=lines.append).path == loaded.path
    assert any("is there already, and fits: kept" in line for line in lines)
    with pytest.raises(BackendError, match="does not fit"):
        load_engine(built.path, library=other, gpu=gpu, rebuild=False)


def test_an_engine_of_another_platform_is_refused(built: BuiltEngine, library: Library) -> None:
    identity = dataclasses.replace(built.record.identity, platform="linux-riscv64")
    rewrite(built.path, sign(dataclasses.replace(built.record, identity=identity)))
    with pytest.raises(BackendError, match="it was built on linux-riscv64, this is linux-"):
        load_engine(built.path, library=library, gpu=H200, rebuild=False)
    assert library.module.calls == []


def test_a_rebuild_that_fails_is_told_and_the_misfit_raised(built: BuiltEngine) -> None:
    lines: list[str] = []
    other = library_of("8.6")
    with pytest.raises(BackendError, match=r"built by TensorRT 10.3.0, this is TensorRT 8.6.1"):
        load_engine(built.path, library=other, gpu=H200, report=lines.append)
    assert any("no engine was built from" in line and "operators of opset 20" in line for line in lines)


def test_another_model_of_the_same_capability_is_noted_or_built_for(
    built: BuiltEngine, library: Library
) -> None:
    loaded = load_engine(built.path, library=library, gpu=H100, rebuild=False)
    assert loaded.notes == (
        "it was built on NVIDIA H200, this GPU is NVIDIA H100 PCIe: it may be slow, or fail",
    )
    better = load_engine(built.path, library=library, gpu=H100)
    assert better.record is not None
    assert better.record.identity.gpu_name == "NVIDIA H100 PCIe"
    assert better.notes == ()


def test_a_tensorrt_rtx_engine_is_not_tied_to_a_model(tmp_path: Path) -> None:
    library = library_of("rtx")
    built = build(
        tmp_path, library=library, onnx=write_tiny_onnx(tmp_path / "ivif.onnx", form=library.onnx_form)
    )
    assert built.record.identity.gpu_name == ""
    assert load_engine(built.path, library=library, gpu=H100).notes == ()


def test_the_real_library_refuses_junk_without_a_crash(tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="tensorrt_rtx is not installed")
    library = load_library(Flavour.tensorrt_rtx)
    plan = tmp_path / "junk.plan"
    for content in (b"", b"j", b"junk" * 1000):
        plan.write_bytes(content)
        with pytest.raises(BackendError, match="TensorRT-RTX 1.* does not load .*junk.plan: "):
            load_engine(plan, library=library, gpu=H200, trust=True)
