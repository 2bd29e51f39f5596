"""What commands print: errors in one line each, and names of files whatever they hold."""

from __future__ import annotations

import io
import sys


def print_error(message: str) -> None:
    """Print an error as one line; what a terminal would obey in the name of a file is shown as an escape."""
    line = "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in message
    )
    print(f"error: {line}", file=sys.stderr)


def print_any_name() -> None:
    """Let standard output take names that its encoding cannot: no command fails once its work is done."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")
