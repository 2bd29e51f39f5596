"""ONNX files that are no models, or not of the form or shapes that are asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine_builds import build
from tiny_onnx import write_tiny_onnx

from refusion import BackendError, InputError, UsageError, WeightsError
from refusion.backends.onnxruntime import OnnxRuntimeBackend
from refusion.backends.tensorrt.identity import ShapeProfile
from refusion.export.onnx_source import read_source

pytest.importorskip("onnx", reason="onnx is not installed")


def test_junk_is_refused(tmp_path: Path) -> None:
    good = write_tiny_onnx(tmp_path / "good.onnx").read_bytes()
    for content in (b"", b"junk", good[: len(good) // 2], good[:-1]):
        path = tmp_path / "bad.onnx"
        path.write_bytes(content)
        with pytest.raises(WeightsError, match=r"bad.onnx is not a readable ONNX model"):
            build(tmp_path / "engines", onnx=path)
    with pytest.raises(InputError, match=r"none.onnx cannot be read: No such file"):
        build(tmp_path / "engines", onnx=tmp_path / "none.onnx")
    assert list((tmp_path / "engines").iterdir()) == []


def test_a_model_of_someone_else_is_refused(tmp_path: Path) -> None:
    path = write_tiny_onnx(tmp_path / "a.onnx", checkpoint_sha256=None, form="decomposed", model=None)
    with pytest.raises(WeightsError, match="lacks the metadata refusion.model, refusion.checkpoint_sha256"):
        build(tmp_path / "engines", onnx=path)
    path = write_tiny_onnx(tmp_path / "b.onnx", output="logits")
    with pytest.raises(WeightsError, match=r"is not a ReFusion model: .*found .*'logits'"):
        build(tmp_path / "engines", onnx=path)


def test_names_and_metadata_that_are_no_text_are_refused(tmp_path: Path) -> None:
    good = write_tiny_onnx(tmp_path / "good.onnx").read_bytes()
    path = tmp_path / "bad.onnx"
    for name in (b"ivif", b"refusion.task"):
        path.write_bytes(good.replace(name, b"\xff" + name[1:]))
        for read in (read_source, OnnxRuntimeBackend):
            with pytest.raises(WeightsError, match=r"bad.onnx is damaged: names or metadata within are no t"):
                read(path)
    deep = write_tiny_onnx(tmp_path / "deep.onnx", accuracy=100_000 * "[")
    with pytest.raises(WeightsError, match=r"refusion.accuracy of .*deep.onnx is .*, not JSON fields"):
        read_source(deep)


@pytest.mark.parametrize("generation", ["10", "rtx"])
def test_a_file_that_parses_into_nothing_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, generation: str
) -> None:
    from refusion.export import onnx_source

    described = onnx_source._described
    path = write_tiny_onnx(tmp_path / "good.onnx")
    monkeypatch.setattr(onnx_source, "_described", lambda *_: described(path, path.read_bytes()))
    empty = tmp_path / "empty.onnx"
    empty.write_bytes(b"")
    match = r"read .*empty.onnx as another network: .*found \[\] and \[\].*whole log: .*plan.log"
    with pytest.raises(BackendError, match=match):
        build(tmp_path / "engines", generation, onnx=empty)


def test_operators_that_a_parser_lacks_are_named(tmp_path: Path) -> None:
    path = write_tiny_onnx(tmp_path / "a.onnx", form="layernorm")
    with pytest.raises(UsageError, match=r"opset 20, which TensorRT 8.6.1 does not read: .*'decomposed'"):
        build(tmp_path / "engines", "8.6", onnx=path)
    path = write_tiny_onnx(tmp_path / "b.onnx", form="layernorm", **{"form ": None})
    lying = tmp_path / "c.onnx"
    lying.write_bytes(path.read_bytes().replace(b"layernorm", b"decompose"))
    with pytest.raises(BackendError, match="does not read .*c.onnx: No importer registered for op: Gelu"):
        build(tmp_path / "engines", "8.6", onnx=lying)


def test_a_profile_that_the_model_excludes_is_refused(tmp_path: Path) -> None:
    path = write_tiny_onnx(tmp_path / "a.onnx", shape=("batch", 32, 32))
    with pytest.raises(UsageError, match="has a fixed height of 32, the engine was asked for 8 to 64"):
        build(tmp_path / "engines", onnx=path)
    build(tmp_path / "engines", onnx=path, profile=ShapeProfile((1, 32, 32), (1, 32, 32), (2, 32, 32)))
