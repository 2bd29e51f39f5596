"""All commands in one application."""

from __future__ import annotations

import typer

from refusion.cli.batch import batch
from refusion.cli.bench import bench_application
from refusion.cli.calibrate import calibrate
from refusion.cli.demo import demo
from refusion.cli.doctor import doctor
from refusion.cli.evaluate import evaluate
from refusion.cli.export import export
from refusion.cli.fuse import fuse
from refusion.cli.stream import stream
from refusion.cli.train import train


def application() -> typer.Typer:
    """Return the `refusion` application."""
    app = typer.Typer(
        help="Fuse two registered views of a scene into one image that keeps what matters of both.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.command()(fuse)
    app.command()(batch)
    app.command()(stream)
    app.command()(calibrate)
    app.command()(export)
    app.command()(train)
    app.command("eval")(evaluate)
    app.add_typer(bench_application(), name="bench")
    app.command()(demo)
    app.command()(doctor)
    return app
