"""Prepares what travels beside the checkout in every call: compiled modules, pycuda, models.

    python -m refusion.benchmarks.gpu.carry [--python PYTHON3.12 --python PYTHON3.10]

For each Python writes to benchmarks/gpu/.kit (git-ignored) `native/`, refusion._C with CUDA, and
`site-cpXY/`, pycuda with what it needs, and what refusion needs; and once `models/`, the ONNX that engines
are built from. Takes about five minutes a Python; needs nvcc, g++ and pip. `run.sh` finds all of it.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from refusion.benchmarks.gpu.builds import PYCUDA_NEEDS, RUNTIME_NEEDS, BuildEnvironment, install, strip, tag
from refusion.benchmarks.gpu.folders import KIT, model_path, note_commit, start
from refusion.tasks import Task
from refusion.weights import shipped_weights

MODELS = (("fp16", "decomposed"), ("fp32", "decomposed"), ("fp16", "layernorm"))
"""TensorRT 8.5 reads the decomposed form, TensorRT-RTX the other."""


def prepare(python: Path, folder: Path = KIT) -> None:
    """Build for one Python."""
    with tempfile.TemporaryDirectory(prefix="carry-") as scratch:
        environment = BuildEnvironment(python, Path(scratch))
        native = environment.native(folder / "native")
        site = folder / f"site-{tag(python)}"
        shutil.rmtree(site, ignore_errors=True)
        install(python, environment.pycuda(), *PYCUDA_NEEDS, *RUNTIME_NEEDS, target=site)
    strip(site)
    print(f"{native.name} and {site.name} are in {folder.resolve()}")


def export_models() -> None:
    """Export the models that engines are built from, unless they are there as this checkout makes them."""
    from refusion.export.onnx_model import OnnxForm, OnnxRequest, export_onnx, exported_before
    from refusion.export.precision import Precision

    for precision, form in MODELS:
        target = model_path(precision, form)
        target.parent.mkdir(parents=True, exist_ok=True)
        checkpoint = shipped_weights(Task.ivif).safetensors
        request = OnnxRequest(checkpoint, Task.ivif, Precision[precision], OnnxForm[form])
        if exported_before(request, target) is None:
            export_onnx(request, target, report=print, force=True)
        print(f"{target.name} is in {target.parent.resolve()}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Build for every Python of the command line, and note the commit."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--python", type=Path, action="append", metavar="PYTHON", help="may be given twice")
    for python in parser.parse_args(arguments).python or ():
        prepare(python)
    export_models()
    note_commit(KIT)


if __name__ == "__main__":
    start(main)
