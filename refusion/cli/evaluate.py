"""`refusion eval`: fusion metrics of a folder of results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from refusion.cli.options import ForceOption, JsonOption


def evaluate(
    a: Annotated[Path, typer.Option("--a", help="Folder of sources a.")],
    b: Annotated[Path, typer.Option("--b", help="Folder of sources b.")],
    fused: Annotated[Path, typer.Option("--fused", help="Folder of fused images, matched by name.")],
    json_file: JsonOption = None,
    force: ForceOption = False,
) -> None:
    """Measure fused images against their sources: EN, SD, SF, AG, MI, SCD, VIF, Qabf, SSIM, SSIM2, CC."""
    import json

    from rich.console import Console
    from rich.table import Table

    from refusion.cli.progress import progress_bar
    from refusion.files import refuse_unwritable, replacing
    from refusion.metrics import METRICS, evaluate_folders, mean

    if json_file is not None:
        refuse_unwritable(json_file, force=force)
    with progress_bar() as bar:
        task = bar.add_task("measuring")
        records = evaluate_folders(
            a, b, fused, progress=lambda done, total: bar.update(task, completed=done, total=total)
        )
    means = mean(records)
    if json_file is not None:
        content = {"mean": means, "pairs": {record.name: record.values for record in records}}
        with replacing(json_file, force=force) as partial:
            partial.write_text(json.dumps(content, indent=1) + "\n")
    table = Table(title=f"means over {len(records)} pairs")
    table.add_column("metric")
    table.add_column("mean", justify="right")
    table.add_column("meaning")
    for metric in METRICS.values():
        table.add_row(metric.name, f"{means[metric.name]:.4f}", metric.meaning)
    Console().print(table)
