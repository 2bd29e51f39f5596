"""Build an engine with a fake TensorRT: python build_in_another_process.py GENERATION ONNX FOLDER SIGNALS."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

from fake_tensorrt import fake_tensorrt

from refusion.backends.tensorrt.identity import ShapeProfile
from refusion.backends.tensorrt.library import Flavour, Library
from refusion.export.engine import EngineRequest, build_engine
from refusion.gpus import Gpu

GPU = Gpu("NVIDIA H200", (9, 0), 144384, False)


def main() -> None:
    """Build; the first call of progress writes SIGNALS/building and waits for SIGNALS/go."""
    generation, onnx, folder, signals = sys.argv[1], *map(Path, sys.argv[2:])
    waited = False
    # A shell starts background jobs with Ctrl-C ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def progress(fraction: float | None, phase: str) -> None:
        nonlocal waited
        if not waited:
            (signals / "building").touch()
            while not (signals / "go").exists():
                time.sleep(0.01)
        waited = True

    def report(line: str) -> None:
        print(line, flush=True)

    built = build_engine(
        EngineRequest(
            onnx=onnx,
            folder=folder,
            flavour=Flavour.tensorrt,
            profile=ShapeProfile.parse(minimum="8x8", optimum="32x32", maximum="64x64"),
        ),
        report=report,
        progress=progress,
        library=Library.of(Flavour.tensorrt, fake_tensorrt(generation)),
        gpu=GPU,
    )
    print("kept" if built.was_there else "built", built.path, flush=True)


if __name__ == "__main__":
    main()
