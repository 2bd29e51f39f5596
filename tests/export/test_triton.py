from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_onnx import write_tiny_onnx

from refusion import Fuser, OutputError
from refusion.backends.tensorrt.shapes import ShapeProfile
from refusion.export.triton import QUEUE_DELAY_US, TritonBackend, TritonModel, write_model_repository
from refusion.files import read_image, write_image
from refusion.stream.synthetic import SyntheticScene
from refusion.tasks import Task
from refusion.weights import shipped_weights

DYNAMIC = ShapeProfile((1, 16, 16), (1, 480, 640), (8, 1080, 1920))
CLIENT = Path(__file__).parents[2] / "examples" / "triton_client.py"


def model(
    file: Path, profile: ShapeProfile = DYNAMIC, backend: TritonBackend = TritonBackend.onnxruntime
) -> TritonModel:
    return TritonModel("refusion_test", backend, file, profile, "a note")


def parsed(text: str) -> Any:
    """Read a configuration with Triton's own message."""
    pytest.importorskip("tritonclient.grpc", reason="tritonclient is not installed")
    from google.protobuf import text_format
    from tritonclient.grpc import model_config_pb2

    return text_format.Parse(text, model_config_pb2.ModelConfig())


def test_the_configuration_is_one_to_triton(tmp_path: Path) -> None:
    file = write_tiny_onnx(tmp_path / "tiny.onnx")
    (folder,) = write_model_repository(tmp_path / "repository", [model(file)], force=False)
    assert folder == tmp_path / "repository" / "refusion_test"
    assert (folder / "1" / "model.onnx").read_bytes() == file.read_bytes()
    config = parsed((folder / "config.pbtxt").read_text())
    assert (config.name, config.backend, config.max_batch_size) == ("refusion_test", "onnxruntime", 8)
    assert [(i.name, list(i.dims)) for i in config.input] == [("sources", [2, -1, -1])]
    assert [(o.name, list(o.dims)) for o in config.output] == [("fused", [1, -1, -1])]
    assert config.dynamic_batching.max_queue_delay_microseconds == QUEUE_DELAY_US
    assert [warm.batch_size for warm in config.model_warmup] == [1, 8]
    assert list(config.model_warmup[0].inputs["sources"].dims) == [2, 480, 640]
    assert {path.name for path in folder.parent.iterdir()} == {"refusion_test"}


def test_a_fixed_size_and_a_single_pair(tmp_path: Path) -> None:
    profile = ShapeProfile.fixed(1, 48, 64)
    config = parsed(model(tmp_path / "x.plan", profile, TritonBackend.tensorrt).configuration())
    assert (config.backend, config.max_batch_size) == ("tensorrt", 1)
    assert list(config.input[0].dims) == [2, 48, 64]
    assert not config.HasField("dynamic_batching")
    assert [warm.batch_size for warm in config.model_warmup] == [1]


def test_a_model_that_is_there_is_kept_unless_forced(tmp_path: Path) -> None:
    file = write_tiny_onnx(tmp_path / "tiny.onnx")
    (folder,) = write_model_repository(tmp_path, [model(file)], force=False)
    (folder / "config.pbtxt").write_text("mine")
    with pytest.raises(OutputError, match="refusion_test is there already; give --force"):
        write_model_repository(tmp_path, [model(file)], force=False)
    assert (folder / "config.pbtxt").read_text() == "mine"
    write_model_repository(tmp_path, [model(file)], force=True)
    assert (folder / "config.pbtxt").read_text() != "mine"


def test_a_missing_file_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="refusion_test cannot be written: No such file"):
        write_model_repository(tmp_path / "repository", [model(tmp_path / "none.onnx")], force=False)
    assert list((tmp_path / "repository").iterdir()) == []


def test_the_example_client_gets_what_fuser_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tritonclient.grpc", reason="tritonclient is not installed")
    from triton_server import serving

    pair = SyntheticScene(width_px=64, height_px=48).pair(0)
    for name, image in (("a", pair.a), ("b", pair.b)):
        write_image(tmp_path / f"{name}.png", image)
    weights = shipped_weights(Task.ivif).onnx
    write_model_repository(tmp_path / "repository", [model(weights)], force=False)
    specification = importlib.util.spec_from_file_location("triton_client", CLIENT)
    assert specification is not None
    assert specification.loader is not None
    client = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(client)
    with serving(tmp_path / "repository") as address:
        images = [str(tmp_path / name) for name in ("a.png", "b.png", "fused.png")]
        client.main([*images[:2], "-o", images[2], "--url", address, "--model", "refusion_test"])
    fused = read_image(tmp_path / "fused.png")
    np.testing.assert_array_equal(fused, Fuser("ivif", device="cpu")(pair.a, pair.b))
