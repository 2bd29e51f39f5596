"""`refusion doctor`: what this machine can run, what is missing, and what that costs."""

from __future__ import annotations


def doctor() -> None:
    """Report versions, backends, native code and weights; exit status 1 if nothing can fuse here."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    import cv2
    import typer
    from rich.console import Console
    from rich.table import Table

    import refusion
    from refusion import ops
    from refusion.backends import capabilities
    from refusion.errors import RefusionError
    from refusion.tasks import Task
    from refusion.weights import shipped_weights

    table = Table(show_header=False)
    table.add_row("refusion", refusion.__version__)
    table.add_row("Python", f"{platform.python_version()}, {platform.platform()}")
    # OpenCV's wheel has several names (opencv-python-headless and others): the module knows better.
    table.add_row("OpenCV", cv2.__version__)
    for package in ("numpy", "av"):
        try:
            table.add_row(package, version(package))
        except PackageNotFoundError:
            table.add_row(package, f"not installed: pip install {package}")
    table.add_row("pre- and post-processing", ops.implementation())
    table.add_row("CUDA devices", _cuda())
    backends = capabilities()
    for backend in backends:
        table.add_row(f"backend {backend.name}", backend.detail)
    for task in Task:
        try:
            manifest = shipped_weights(task).manifest
            table.add_row(f"weights {task.name}", f"shipped: {manifest['summary']}")
        except RefusionError as error:
            table.add_row(f"weights {task.name}", str(error))
    Console().print(table)
    if not any(backend.available for backend in backends):
        raise typer.Exit(1)


def _cuda() -> str:
    from refusion.gpus import find_gpus

    report = find_gpus()
    names = [
        f"{gpu.name} (compute capability {'.'.join(map(str, gpu.compute_capability))})" for gpu in report.gpus
    ]
    return ", ".join(names) or f"none: {report.problem}"
