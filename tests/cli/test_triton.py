"""Commands with a Triton server behind them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from triton_repository import served

from refusion import Fuser, UsageError
from refusion.export.triton import write_model_repository
from refusion.files import read_image, write_image
from refusion.models import Model
from refusion.stream.synthetic import SyntheticScene

Command = Callable[..., Any]

SHORT = "synthetic:?width=64&height=48&frames=5"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    pytest.importorskip("tritonclient.grpc", reason="tritonclient is not installed")
    from triton_server import serving

    folder = tmp_path_factory.mktemp("triton") / "repository"
    # A repository of an earlier exporter has no parameters that say what a model is.
    model = dataclasses.replace(served(Model.lite), identity={})
    write_model_repository(folder, [model], force=False)
    with serving(folder) as address:
        yield address


def test_fuse(cli: Command, address: str, tmp_path: Path) -> None:
    pair = SyntheticScene(width_px=64, height_px=48).pair(0)
    for name, image in (("a", pair.a), ("b", pair.b)):
        write_image(tmp_path / f"{name}.png", image)
    server = ("--backend", "triton", "--triton-url", address)
    outcome = cli("fuse", "a.png", "b.png", "-o", "fused.png", "--model", "lite", *server)
    assert outcome.status == 0, outcome.err
    with Fuser("ivif", model="lite", device="cpu") as fuser:
        expected = fuser(pair.a, pair.b)
    assert np.abs(read_image(tmp_path / "fused.png").astype(np.int16) - expected).max() <= 1


def test_stream(cli: Command, address: str, tmp_path: Path) -> None:
    server = ("--backend", "triton", "--triton-url", f"{address}/refusion_ivif_lite_fp32_onnx")
    outcome = cli("stream", "--ir", SHORT, "--visible", SHORT, "-o", "out", *server)
    assert outcome.status == 0, outcome.err
    assert "5 frames fused" in outcome.out
    assert len(list((tmp_path / "out").glob("*.png"))) == 5


def test_without_a_server(cli: Command, tmp_path: Path) -> None:
    pytest.importorskip("tritonclient.grpc", reason="tritonclient is not installed")
    from triton_server import free_port

    write_image(tmp_path / "a.png", np.zeros((16, 16), np.uint8))
    server = ("--backend", "triton", "--triton-url", f"127.0.0.1:{free_port()}")
    outcome = cli("fuse", "a.png", "a.png", "-o", "fused.png", *server)
    assert outcome.status == 1
    (line,) = outcome.error_lines
    assert "no Triton server answers at 127.0.0.1:" in line
    assert not (tmp_path / "fused.png").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "triton"}, "needs the address of a server"),
        ({"url": "gpu7"}, "gpu7 is the address of a server: it goes with the backend triton"),
        ({"backend": "triton", "url": "gpu7", "weights": "x.onnx"}, r"leave out the weights \(x.onnx\)"),
        ({"backend": "triton", "url": "gpu7", "device": "cuda"}, "the server chooses the device"),
        ({"backend": "triton", "url": "http://gpu7"}, "is no address of a Triton server"),
    ],
)
def test_options_that_do_not_fit(options: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Fuser("ivif", **options)  # type: ignore[arg-type]


def test_the_weights_are_the_server_s(address: str) -> None:
    with (
        Fuser("ivif", model="lite", backend="triton", url=address) as fuser,
        pytest.raises(UsageError, match="the weights are the server's"),
    ):
        _ = fuser.weights
