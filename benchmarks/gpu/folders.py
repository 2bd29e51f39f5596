"""How jobs start, where they find what travelled with the checkout, where they write, and of which commit."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from refusion.errors import RefusionError

PACKED = Path(__file__).parent / ".pack"
"""Training pairs, and the run that goes on with them."""

KIT = Path(__file__).parent / ".kit"
"""What jobs with engines need in every call: compiled modules, pycuda, models."""

PARTS = Path(__file__).parent / ".parts"
"""Large things, in parts of which a call carries one."""

THERE = Path("/tmp/refusion-gpu")
"""On the machine with the GPU, outside the copy of the checkout: what lasts from call to call."""

COMMIT_FILE = "commit"


def model_path(precision: str, form: str) -> Path:
    """Return where `carry` puts the ONNX of a precision in a form (see OnnxForm)."""
    return KIT / "models" / f"ivif-{precision}-{form}.onnx"


def start(job: Callable[[], None]) -> None:
    """Run a job; what a person can act on ends it with its message alone."""
    try:
        job()
    except RefusionError as error:
        raise SystemExit(f"error: {error}") from None


def output_folder() -> Path:
    """Return where results go: $OUT, made if it is not there."""
    folder = Path(os.environ.get("OUT", "out/gpu"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def note_commit(folder: Path = PACKED) -> None:
    """Write down the commit of this checkout, for the jobs that run in a copy of its files."""
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=40"]
    commit = subprocess.run(git, capture_output=True, text=True, check=True).stdout
    folder.mkdir(parents=True, exist_ok=True)
    (folder / COMMIT_FILE).write_text(commit)


def packed_commit(folder: Path = PACKED) -> str | None:
    """Return the commit of the checkout that a folder was made for: a copy of its files does not know it."""
    path = folder / COMMIT_FILE
    return path.read_text().strip() if path.is_file() else None
