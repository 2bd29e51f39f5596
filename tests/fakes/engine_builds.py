"""Engines of fake generations, built for tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fake_tensorrt import MAGIC, fake_tensorrt
from tiny_onnx import write_tiny_onnx

from refusion.backends.tensorrt.identity import ShapeProfile
from refusion.backends.tensorrt.library import Flavour, Library
from refusion.export.engine import BuiltEngine, EngineRequest, build_engine
from refusion.gpus import Gpu

H200 = Gpu("NVIDIA H200", (9, 0), 144384, False)
PROFILE = ShapeProfile((1, 8, 8), (1, 32, 32), (2, 64, 64))


def library_of(generation: str, **options: Any) -> Library:
    """A library of a fake generation; see fake_tensorrt."""
    flavour = Flavour.tensorrt_rtx if generation == "rtx" else Flavour.tensorrt
    return Library.of(flavour, fake_tensorrt(generation, **options))


class Lines(list[str]):
    """What was reported."""

    def __call__(self, line: str) -> None:
        """Take a line."""
        self.append(line)


def build(
    folder: Path,
    generation: str = "10",
    *,
    onnx: Path | None = None,
    library: Library | None = None,
    gpu: Gpu | None = H200,
    profile: ShapeProfile = PROFILE,
    report: Callable[[str], None] = lambda line: None,
    progress: Callable[[float | None, str], None] = lambda fraction, phase: None,
    verify: Callable[[Path], dict[str, Any]] | None = None,
    **options: Any,
) -> BuiltEngine:
    """Build the tiny model into the folder; the model lies beside the folder unless it is given."""
    library = library or library_of(generation)
    folder.mkdir(exist_ok=True)
    onnx = onnx or write_tiny_onnx(folder.parent / f"{library.onnx_form}.onnx", form=library.onnx_form)
    request = EngineRequest(onnx=onnx, folder=folder, flavour=library.flavour, profile=profile, **options)
    return build_engine(request, report=report, progress=progress, verify=verify, library=library, gpu=gpu)


def told(built: BuiltEngine) -> dict[str, Any]:
    """Return what the fake builder was told."""
    return json.loads(built.path.read_bytes()[len(MAGIC) :])
