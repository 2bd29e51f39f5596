"""`refusion train`: train a fusion network from scratch by meta-learning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer


def train(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the run.")],
    data: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Option(
            help="Folder of pairs, for instance with the folders ir and vis; several are joined. "
            "--resume has it from the run."
        ),
    ] = None,
    settings: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(
            metavar="[KEY=VALUE]...",
            help="Settings, for instance steps=20 device=cpu seed=1; they count more than the file's.",
            show_default=False,
        ),
    ] = None,
    task: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="ivif, mif, mfif or meif.  [default: ivif]", metavar="TASK", show_default=False),
    ] = None,
    config: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            help="YAML file of settings in place of the full schedule of the task; paper: as in the paper."
        ),
    ] = None,
    model: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="full, or lite: a small one that learns from a full one.  [default: full]",
            metavar="MODEL",
            show_default=False,
        ),
    ] = None,
    teacher: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            help="What lite learns from: state.pt or best.pt of a full network's run; the shipped weights of "
            "the task if left out."
        ),
    ] = None,
    start_from: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            help="Weights that a new run goes on from: a run's state.pt or best.pt, or a .safetensors file."
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the output folder, exactly where it was.")
    ] = False,
) -> None:
    """Train from scratch by meta-learning, or lite from a full network; the best weights are in best.pt.

    The schedule of a task is made for a GPU; steps=N shortens it to N fusion steps, steps=20 takes minutes on
    a CPU. Interrupted at any moment, --resume goes on. Several GPUs: torchrun --nproc-per-node N -m
    refusion.training, with the same options.
    """
    import importlib.util

    from refusion.errors import BackendError
    from refusion.models import Model
    from refusion.tasks import Task

    chosen = Task.parse(task) if task else None
    chosen_model = Model.parse(model) if model else None
    for module, package in (("torch", "torch"), ("yaml", "pyyaml")):
        if importlib.util.find_spec(module) is None:
            raise BackendError(f"training needs {package}: pip install 'refusion[train]'")
    from refusion.training.progress import TerminalProgress
    from refusion.training.run import Request, start_or_resume

    request = Request(
        output,
        task=chosen,
        model=chosen_model,
        data=data or (),
        config=config,
        settings=settings or (),
        resume=resume,
        teacher=teacher,
        start_from=start_from,
    )
    progress = TerminalProgress()
    try:
        for _ in start_or_resume(request, [progress]):
            progress.saved()
    finally:
        progress.close()
