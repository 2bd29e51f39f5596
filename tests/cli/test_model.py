"""`--model`: the network by its name, on each command that fuses or exports."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refusion import Fuser
from refusion.files import read_image
from refusion.tasks import Task
from refusion.weights import shipped_weights

Command = Callable[..., Any]
SCENE = "synthetic:?width=64&height=48&frames=3"


@pytest.fixture
def lite(tmp_path: Path) -> Path:
    """A file of the lite network."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from refusion.models.checkpoints import save_network
    from refusion.models.lite import LiteModule

    torch.manual_seed(0)
    path = tmp_path / "lite.safetensors"
    save_network(LiteModule(), path, task="ivif")
    return path


def test_fuse_with_the_lite_network(cli: Command, images: tuple[Path, Path], lite: Path) -> None:
    assert cli("fuse", *images, "-o", "named.png", "--model", "lite", "--weights", lite).status == 0
    # A file says itself what it holds.
    assert cli("fuse", *images, "-o", "by_file.png", "--weights", lite).status == 0
    expected = Fuser(weights=lite)(*(read_image(path) for path in images))
    for name in ("named.png", "by_file.png"):
        np.testing.assert_array_equal(read_image(Path(name)), expected)


def test_stream_and_demo_with_the_lite_network(cli: Command, lite: Path) -> None:
    model = ("--model", "lite", "--weights", lite)
    streamed = cli("stream", "--ir", SCENE, "--visible", SCENE, "--out", "fused.mp4", *model)
    assert streamed.status == 0, streamed.err
    shown = cli("demo", "-o", "demo", "--frames", "3", "--width", "64", "--height", "48", *model)
    assert shown.status == 0, shown.err
    assert Path("demo/fused.mp4").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "small"), "there is no model 'small'; choose one of full, lite"),
        (
            ("--model", "lite", "--weights", shipped_weights(Task.ivif).onnx),
            "ivif.onnx holds the full model, not lite: name another file, or leave out the model",
        ),
    ],
    ids=["unknown", "other"],
)
def test_a_network_that_does_not_fit_is_refused(
    cli: Command, images: tuple[Path, Path], arguments: tuple[str | Path, ...], message: str
) -> None:
    outcome = cli("fuse", *images, "-o", "x.png", *arguments)
    assert outcome.status == 1
    (line,) = outcome.error_lines
    assert line.endswith(message)
    assert not Path("x.png").exists()


def test_an_exported_model_brings_its_network(cli: Command) -> None:
    outcome = cli("export", "--onnx", "any.onnx", "--model", "lite")
    assert outcome.error_lines == [
        "error: --onnx starts from an exported model: leave out --checkpoint, --model, --fp16, --fp32"
    ]
