"""Runs the tests that need a GPU, of a checkout that is not installed.

    bash benchmarks/gpu/run.sh tests [PATH OR PYTEST ARGUMENT ...]

Paths are relative to the checkout. Engines that tests need are built from the model in benchmarks/gpu/.kit,
with TensorRT or TensorRT-RTX, whichever this Python has. Writes tests.xml (JUnit) to $OUT. Warnings are shown
and not errors, as elsewhere: the versions there are not those of constraints.txt.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence

from refusion.benchmarks.gpu.builds import ROOT
from refusion.benchmarks.gpu.folders import model_path, output_folder


def main(arguments: Sequence[str] | None = None) -> None:
    """Run pytest in the checkout and end with its status."""
    given = sys.argv[1:] if arguments is None else arguments
    report = output_folder().resolve() / "tests.xml"
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-W", "default", "-p", "no:cacheprovider"]
    # What needs packages that are not there cannot be collected; the rest is worth running.
    command += ["--continue-on-collection-errors", f"--junitxml={report}"]
    command += [f"--rootdir={ROOT}", f"-c{ROOT / 'pyproject.toml'}"]
    paths = [str(ROOT / path) for path in given if (ROOT / path).exists()] or [str(ROOT / "tests")]
    others = [argument for argument in given if not (ROOT / argument).exists()]
    environment = dict(os.environ)
    model = model_path("fp16", "decomposed" if importlib.util.find_spec("tensorrt") else "layernorm")
    if model.is_file():
        environment["REFUSION_TEST_ONNX"] = str(model)
    raise SystemExit(subprocess.run([*command, *others, *paths], env=environment, check=False).returncode)


if __name__ == "__main__":
    main()
