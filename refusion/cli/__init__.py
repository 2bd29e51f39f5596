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
    import typer

    from refusion.cli.export import export

    application = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    application.command()(export)
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
