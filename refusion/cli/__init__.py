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
    from refusion.cli.messages import print_any_name, print_error
    from refusion.cli.native_messages import held_native_messages
    from refusion.errors import RefusionError

    print_any_name()
    with held_native_messages():
        try:
            application()
        except RefusionError as error:
            print_error(str(error))
            sys.exit(1)
        except OSError as error:
            # What no module foresaw of files: a name that is too long, a folder without rights, a full disk.
            reason = error.strerror or str(error)
            print_error(reason if error.filename is None else f"{error.filename}: {reason}")
            sys.exit(1)
