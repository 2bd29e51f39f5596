"""The command line: `refusion VERB`, and `refusion-VERB` for the main ones.

One module per command. Heavy imports stay inside the functions, so that `--help` answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable


def main() -> None:
    """Entry point of `refusion`."""
    from refusion.cli.app import application

    _run(application())


def export_main() -> None:
    """Entry point of `refusion-export`."""
    from refusion.cli.export import export

    _run_alone(export)


def stream_main() -> None:
    """Entry point of `refusion-stream`."""
    from refusion.cli.stream import stream

    _run_alone(stream)


def bench_main() -> None:
    """Entry point of `refusion-bench`."""
    from refusion.cli.bench import bench_application

    _run(bench_application())


def train_main() -> None:
    """Entry point of `python -m refusion.training`."""
    from refusion.cli.train import train

    _run_alone(train)


def _run_alone(command: Callable[..., None]) -> None:
    import typer

    application = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    application.command()(command)
    _run(application)


def _run(application: Callable[[], None]) -> None:
    from refusion.cli.native_messages import held_native_messages
    from refusion.errors import RefusionError

    with held_native_messages():
        try:
            application()
        except RefusionError as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(1)
