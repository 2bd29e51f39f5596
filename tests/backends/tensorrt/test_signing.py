from __future__ import annotations

import dataclasses
import multiprocessing
import stat
from pathlib import Path

import pytest
from engine_identity import IDENTITY

from refusion import BackendError, OutputError
from refusion.backends.tensorrt.identity import EngineRecord
from refusion.backends.tensorrt.signing import is_signed, key_path, sign

RECORD = EngineRecord(
    identity=IDENTITY,
    plan_sha256="2" * 64,
    plan_bytes=10,
    onnx_file="ivif.onnx",
    accuracy={},
    verification={},
    refusion_version="0.1.0",
    built_at="2026-01-02T03:04:05+00:00",
    build_seconds=12.5,
)


@pytest.fixture(autouse=True)
def data_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data"


def test_a_record_is_signed_with_a_key_of_this_user(data_home: Path) -> None:
    assert not is_signed(RECORD)
    assert not key_path().exists()
    signed = sign(RECORD)
    assert is_signed(signed)
    assert key_path() == data_home / "refusion" / "engine-key"
    assert stat.S_IMODE(key_path().stat().st_mode) == 0o600
    assert [path.name for path in key_path().parent.iterdir()] == ["engine-key"]
    assert sign(RECORD) == signed


@pytest.mark.parametrize(
    "change",
    [
        {"plan_sha256": "3" * 64},
        {"identity": dataclasses.replace(RECORD.identity, gpu_name="NVIDIA H100")},
        {"onnx_file": "other.onnx"},
        {"verification": {"psnr_db": 99}},
        {"signature": ""},
        {"signature": "ä"},
    ],
)
def test_a_changed_record_is_not_signed(change: dict[str, object]) -> None:
    assert not is_signed(dataclasses.replace(sign(RECORD), **change))


def test_another_users_signature_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signed = sign(RECORD)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "other"))
    assert not is_signed(signed)
    sign(RECORD)
    assert not is_signed(signed)


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 33])
def test_a_damaged_key_is_named(content: bytes) -> None:
    signed = sign(RECORD)
    key_path().write_bytes(content)
    for use in (sign, is_signed):
        with pytest.raises(BackendError, match=r"engine-key is damaged: \d+ bytes, expected 32. Remove it"):
            use(signed)


def test_a_key_that_cannot_be_made_is_named(data_home: Path) -> None:
    data_home.write_text("a file where the folder should be")
    assert not is_signed(RECORD)
    with pytest.raises(OutputError, match="engine-key cannot be made: Not a directory"):
        sign(RECORD)


def signature(_: int) -> str:
    return sign(RECORD).signature


def test_processes_that_make_the_first_key_at_once_agree() -> None:
    with multiprocessing.get_context("fork").Pool(4) as pool:
        assert len(set(pool.map(signature, range(16), chunksize=1))) == 1
