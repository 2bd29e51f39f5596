from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from engine_identity import DYNAMIC, IDENTITY

from refusion import BackendError, InputError, UsageError
from refusion.backends.tensorrt.identity import EngineIdentity, EngineRecord, ShapeProfile, finite
from refusion.backends.tensorrt.library import Flavour
from refusion.backends.tensorrt.sidecar import read_sidecar, sidecar_of, sidecar_text

OTHER: dict[str, Any] = {
    "task": "mif",
    "model": "lite",
    "precision": "fp32",
    "checkpoint_sha256": "d" * 64,
    "onnx_sha256": "1" * 64,
    "flavour": Flavour.tensorrt_rtx,
    "tensorrt_version": "10.3.1",
    "platform": "linux-aarch64",
    "gpu_name": "NVIDIA H100",
    "compute_capability": "sm89",
    "profile": ShapeProfile((1, 64, 64), (1, 480, 640), (4, 1080, 1921)),
    "workspace_mib": None,
    "optimization_level": 5,
    "is_tf32_allowed": False,
}
RECORD = EngineRecord(
    identity=IDENTITY,
    plan_sha256="2" * 64,
    plan_bytes=10,
    onnx_file="ivif.onnx",
    accuracy={"psnr_db": 62.5},
    verification={},
    refusion_version="0.1.0",
    built_at="2026-01-02T03:04:05+00:00",
    build_seconds=12.5,
    signature="ab",
)


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(EngineIdentity)])
def test_the_key_and_the_file_name_change_with_each_field(field: str) -> None:
    changed = dataclasses.replace(IDENTITY, **{field: OTHER[field]})
    assert changed.key() != IDENTITY.key()
    assert changed.file_name() != IDENTITY.file_name()


@pytest.mark.parametrize(("corner", "step"), [("minimum", -1), ("optimum", 1), ("maximum", 1)])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_key_changes_with_each_number_of_the_profile(corner: str, step: int, axis: int) -> None:
    base = ShapeProfile((2, 64, 64), (3, 480, 640), (4, 1080, 1920))
    shape = list(getattr(base, corner))
    shape[axis] += step
    moved = dataclasses.replace(base, **{corner: tuple(shape)})
    keys = {dataclasses.replace(IDENTITY, profile=profile).key() for profile in (base, moved)}
    assert len(keys) == 2


def test_the_key_changes_with_nothing_else() -> None:
    again = EngineIdentity.from_json(json.loads(json.dumps(IDENTITY.to_json())))
    assert again == IDENTITY
    assert again.key() == IDENTITY.key()
    shuffled = dict(reversed(IDENTITY.to_json().items()))
    assert EngineIdentity.from_json(shuffled).key() == IDENTITY.key()
    # Fixed for good: engines on disk are looked up by it.
    assert IDENTITY.key() == "6d21c646901ed34cbac38d8359731d156b22c4c7df39e7b69374d9636b338804"
    assert IDENTITY.file_name() == "ivif-full-fp16-1x480x640-sm90-tensorrt10.3.0-6d21c646901e.plan"


def test_file_names_hold_nothing_but_plain_characters() -> None:
    assert "/" not in dataclasses.replace(IDENTITY, task="../x y").file_name()


@pytest.mark.parametrize(
    ("shape", "fits"),
    [
        ((1, 480, 640), True),
        ((1, 64, 64), True),
        ((4, 1080, 1920), True),
        ((1, 63, 64), False),
        ((1, 1080, 1921), False),
        ((5, 480, 640), False),
    ],
)
def test_a_profile_contains_what_lies_between_its_ends(shape: tuple[int, int, int], fits: bool) -> None:
    assert DYNAMIC.contains(*shape) is fits
    if fits:
        DYNAMIC.check(*shape)
        return
    with pytest.raises(
        InputError, match=r"takes 1x64x64 to 4x1080x1920 \(best at 1x480x640\).*not \d+x\d+x\d+"
    ):
        DYNAMIC.check(*shape)


def test_profiles_are_parsed_and_checked() -> None:
    parsed = ShapeProfile.parse(minimum="64x64", optimum="480x640", maximum="1080X1920", batch=(1, 1, 4))
    assert parsed == DYNAMIC
    assert str(ShapeProfile.fixed(1, 480, 640)) == "1x480x640"
    assert ShapeProfile.fixed(1, 480, 640).is_fixed
    with pytest.raises(UsageError, match="'480' is no size: expected HEIGHTxWIDTH"):
        ShapeProfile.parse(minimum="480", optimum="480x640", maximum="480x640")
    with pytest.raises(UsageError, match="the width of the shapes must rise .* found 700, 640, 640"):
        ShapeProfile.parse(minimum="480x700", optimum="480x640", maximum="480x640")
    with pytest.raises(UsageError, match="the batch .* found 0, 1, 1"):
        ShapeProfile.parse(minimum="4x4", optimum="4x4", maximum="4x4", batch=(0, 1, 1))


@pytest.mark.parametrize(
    ("profile", "options"),
    [
        (DYNAMIC, "--min-shape 64x64 --opt-shape 480x640 --max-shape 1080x1920 --batch 4"),
        (ShapeProfile.fixed(1, 480, 640), "--shape 480x640"),
        (ShapeProfile.fixed(12, 480, 640), "--shape 480x640 --batch 12"),
    ],
)
def test_the_command_that_builds_it_again(profile: ShapeProfile, options: str) -> None:
    command = dataclasses.replace(IDENTITY, profile=profile).export_command()
    assert command == f"refusion export --task ivif --fp16 {options} --format tensorrt"


def write(plan: Path, content: str | bytes) -> Path:
    data = content.encode() if isinstance(content, str) else content
    sidecar_of(plan).write_bytes(data)
    return plan


def test_a_record_comes_back_as_written(tmp_path: Path) -> None:
    assert read_sidecar(tmp_path / "none.plan") is None
    assert read_sidecar(write(tmp_path / "a.plan", sidecar_text(RECORD))) == RECORD


def changed(**fields: Any) -> str:
    return json.dumps(RECORD.to_json() | fields)


def changed_identity(**fields: Any) -> str:
    return changed(identity=IDENTITY.to_json() | fields)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "damaged, or no engine's record"),
        ("junk", "damaged, or no engine's record"),
        (b"\xff\xfe\x00", "damaged, or no engine's record"),
        (sidecar_text(RECORD)[:200], "damaged, or no engine's record"),
        ("[]", "it is not a JSON object"),
        ("{}", "it states no format"),
        ('{"format": 1}', "it lacks 'identity'"),
        ("[" * 100_000, "damaged, or no engine's record"),
        (" " * ((1 << 20) + 1), "it has 1048577 bytes"),
        (changed(format=2), "has format 2, this refusion reads up to 1: .*update refusion"),
        (changed(format="1"), "it states no format"),
        (changed(plan_bytes="10"), "'plan_bytes' is '10'"),
        (changed(plan_bytes=True), "'plan_bytes' is True"),
        (changed(accuracy=None), "'accuracy' is None"),
        (changed(extra=1), "unknown fields extra"),
        (changed(onnx_file="../../secret.onnx"), "'onnx_file' is not the bare name of a file"),
        (changed(build_seconds=float("nan")), "NaN is not JSON"),
        (changed(identity=[]), "damaged, or no engine's record"),
        (changed_identity(flavour="tensorrt-9000"), "no TensorRT library 'tensorrt-9000'"),
        (changed_identity(profile=[]), "damaged, or no engine's record"),
        (changed_identity(profile={"minimum": [1, 1, 1]}), "damaged, or no engine's record"),
        (changed_identity(profile=IDENTITY.to_json()["profile"] | {"minimum": [1, 2]}), "damaged"),
        (changed_identity(profile=IDENTITY.to_json()["profile"] | {"minimum": [9, 9, 9]}), "must rise"),
        (changed_identity(profile=IDENTITY.to_json()["profile"] | {"minimum": ["1", 9, 9]}), "is no shape"),
    ],
)
def test_what_is_no_record_is_refused(tmp_path: Path, content: str | bytes, reason: str) -> None:
    with pytest.raises(BackendError, match=reason):
        read_sidecar(write(tmp_path / "a.plan", content))


def test_a_record_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    sidecar_of(tmp_path / "a.plan").mkdir()
    with pytest.raises(BackendError, match="cannot be read: Is a directory"):
        read_sidecar(tmp_path / "a.plan")


def test_measurements_that_json_lacks_become_none() -> None:
    assert finite({"psnr_db": float("inf"), "deep": {"x": float("nan"), "y": 1.5}}) == {
        "psnr_db": None,
        "deep": {"x": None, "y": 1.5},
    }
