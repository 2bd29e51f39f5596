"""The folder that a command writes to."""

from __future__ import annotations

from pathlib import Path


def make_output_folder(path: Path) -> None:
    """Make the folder and those above it, where they are not there yet.

    Raises:
        OutputError: It cannot be made, for instance because it is a file.
    """
    from refusion.errors import OutputError

    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise OutputError(f"{path} cannot be made: it is a file, not a folder") from None
    except OSError as error:
        raise OutputError(f"{path} cannot be made: {error.strerror}") from None
