"""What commands print: errors in one line each, and names of files whatever they hold."""

from __future__ import annotations

import io
import re
import sys


def print_error(message: str) -> None:
    """Print an error; what a terminal would obey in the name of a file is shown as an escape.

    Lists of ours go on in lines that are indented, which no name can turn into an error of its own.
    """
    lines = re.split(r"\n(?=  )", message)
    print("error: " + "\n".join(map(_shown, lines)), file=sys.stderr)


def _shown(text: str) -> str:
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def print_any_name() -> None:
    """Let standard output take names that its encoding cannot: no command fails once its work is done."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")
