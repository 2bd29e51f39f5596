"""Runs the tests that need a GPU, of a checkout that is not installed.

    bash benchmarks/gpu/run.sh tests [PYTEST ARGUMENT ...]

Writes tests.xml (JUnit) to $OUT. Warnings are shown and not errors, as elsewhere: the versions there are not
those of constraints.txt.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from refusion.benchmarks.gpu.builds import ROOT
from refusion.benchmarks.gpu.folders import output_folder


def main(arguments: Sequence[str] | None = None) -> None:
    """Run pytest in the checkout and end with its status."""
    given = sys.argv[1:] if arguments is None else arguments
    report = output_folder().resolve() / "tests.xml"
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-W", "default", "-p", "no:cacheprovider"]
    command += [f"--rootdir={ROOT}", f"-c{ROOT / 'pyproject.toml'}", f"--junitxml={report}", *given]
    raise SystemExit(subprocess.run([*command, str(ROOT / "tests")], check=False).returncode)


if __name__ == "__main__":
    main()
