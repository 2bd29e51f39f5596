"""`refusion doctor`: what this machine can run, what is missing, and what that costs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from refusion.gpus import Gpu


def doctor() -> None:
    """Report versions, backends, native code and weights; exit status 1 if nothing can fuse here."""
    import itertools
    import platform
    from importlib.metadata import PackageNotFoundError, version

    import cv2
    import typer
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    import refusion
    from refusion import ops
    from refusion.backends import capabilities
    from refusion.errors import RefusionError
    from refusion.gpus import find_gpus
    from refusion.models import Model
    from refusion.tasks import Task
    from refusion.weights import shipped_weights

    table = Table(show_header=False)

    def add(name: str, detail: str) -> None:
        # Rich would take the brackets of 'refusion[tensorrt]' for its own.
        table.add_row(name, escape(detail))

    add("refusion", refusion.__version__)
    add("Python", f"{platform.python_version()}, {platform.platform()}")
    # OpenCV's wheel has several names (opencv-python-headless and others): the module knows better.
    add("OpenCV", cv2.__version__)
    for package in ("numpy", "av"):
        try:
            add(package, version(package))
        except PackageNotFoundError:
            add(package, f"not installed: pip install {package}")
    add("pre- and post-processing", ops.implementation())
    report = find_gpus()
    add("CUDA devices", ", ".join(map(_gpu_text, report.gpus)) or f"none: {report.problem}")
    backends = capabilities()
    for backend in backends:
        add(f"backend {backend.name}", backend.detail)
    for name, detail in _gpu_libraries().items():
        add(name, detail)
    for name, detail in _engines(report.gpus[0] if report.gpus else None):
        add(name, detail)
    for name, detail in _cameras().items():
        add(name, detail)
    for task, model in itertools.product(Task, Model):
        name = f"weights {task.name}{model.value.suffix}"
        try:
            add(name, f"shipped: {shipped_weights(task, model).manifest['summary']}")
        except RefusionError as error:
            add(name, str(error))
    Console().print(table)
    if not any(backend.available for backend in backends):
        raise typer.Exit(1)


def _gpu_text(gpu: Gpu) -> str:
    capability = ".".join(map(str, gpu.compute_capability))
    return f"{gpu.name} (compute capability {capability}, {gpu.memory_mib} MiB)"


def _gpu_libraries() -> dict[str, str]:
    """Return what the GPU path needs, by name: versions, or how to get it."""
    import importlib.util

    from refusion.backends.tensorrt.device import load_driver
    from refusion.backends.tensorrt.library import Flavour, installation_advice, load_library
    from refusion.errors import BackendError

    rows = {}
    for flavour in Flavour:
        facts = flavour.value
        if importlib.util.find_spec(facts.module) is None:
            rows[facts.title] = f"not installed: {installation_advice(flavour)}"
            continue
        try:
            rows[facts.title] = load_library(flavour).version
        except BackendError as error:
            rows[facts.title] = str(error)
    try:
        rows["pycuda"] = ".".join(map(str, load_driver().get_version())) + " (CUDA it was built with)"
    except BackendError as error:
        rows["pycuda"] = str(error)
    if importlib.util.find_spec("onnxruntime") is not None:
        from refusion.backends.onnxruntime import load_onnxruntime

        rows["ONNX Runtime providers"] = ", ".join(load_onnxruntime().get_available_providers())
    return rows


def _cameras() -> dict[str, str]:
    """Return what live streams can use here, by name."""
    import importlib.util
    from pathlib import Path

    from refusion.stream.sources.gstreamer import has_gstreamer

    devices = sorted(str(path) for path in Path("/dev").glob("video*"))
    missing = [name for name in ("aiohttp", "aiortc") if importlib.util.find_spec(name) is None]
    advice = f"{' and '.join(missing)} not installed: pip install 'refusion[web]'"
    return {
        "cameras": ", ".join(devices) or "none at /dev/video*; rtsp:// and files work all the same",
        "gst: pipelines": "OpenCV has GStreamer" if has_gstreamer() else "OpenCV has no GStreamer",
        "viewer": advice if missing else "WebRTC and motion JPEG",
    }


def _engines(gpu: Gpu | None) -> Iterator[tuple[str, str]]:
    """Yield a row for each TensorRT engine, with whether it fits this machine."""
    from refusion.backends.tensorrt.search import engine_folders
    from refusion.backends.tensorrt.shelf import shelved_engines

    found = False
    folders = engine_folders()
    for engine in shelved_engines(folders, gpu=gpu, trust=False):
        found = True
        takes = f"takes {engine.record.identity.profile}" if engine.record is not None else ""
        yield f"engine {engine.plan.name}", engine.problem or f"fits; {takes}"
    if not found:
        yield "engines", f"none in {' or '.join(map(str, folders))}"
