"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

TaskOption = Annotated[
    str, typer.Option("--task", help="ivif, mif, mfif or meif.", metavar="TASK", show_default=True)
]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace outputs that are there already.")]
ThreadsOption = Annotated[int, typer.Option(min=0, help="CPU threads of the network; 0 takes all cores.")]
JsonOption = Annotated[Optional[Path], typer.Option("--json", help="Write the result as JSON, too.")]  # noqa: UP045
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, or cuda: the GPU or not at all.")]
EnginesOption = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(help="Folder of TensorRT engines; default: $REFUSION_ENGINES, else ./engines."),
]
TrustOption = Annotated[
    bool, typer.Option("--trust", help="Load engines that others built, too: they are machine code.")
]
