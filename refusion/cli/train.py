"""`refusion train`: train a fusion network from scratch by meta-learning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from refusion.cli.options import TaskOption


def train(
    data: Annotated[
        Path, typer.Option(help="Folder with one folder a source: a and b, or for ivif ir and vis.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the run.")],
    settings: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(metavar="[KEY=VALUE]...", help="Settings, for instance epochs=100 seed=1."),
    ] = None,
    task: TaskOption = "ivif",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the output folder.")
    ] = False,
) -> None:
    """Train from scratch; each epoch ends with a checkpoint that --resume takes up."""
    import importlib.util

    from refusion.errors import BackendError
    from refusion.tasks import Task

    chosen = Task.parse(task)
    if importlib.util.find_spec("torch") is None:
        raise BackendError("training needs torch: pip install 'refusion[train]'")
    from refusion.training.run import start_or_resume

    for record in start_or_resume(chosen, data, output, settings or [], resume=resume):
        values = "  ".join(f"{name} {value:.4g}" for name, value in record.items())
        print(values, flush=True)
