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
