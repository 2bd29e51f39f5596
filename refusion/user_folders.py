"""Where this user's caches and keys live (XDG base directories; the package runs on Linux)."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return the folder for what may be deleted: `$XDG_CACHE_HOME/refusion` or `~/.cache/refusion`."""
    return _folder("XDG_CACHE_HOME", ".cache")


def data_folder() -> Path:
    """Return the folder for what must be kept: `$XDG_DATA_HOME/refusion` or `~/.local/share/refusion`."""
    return _folder("XDG_DATA_HOME", ".local/share")


def _folder(variable: str, below_home: str) -> Path:
    named = Path(os.environ.get(variable, ""))
    # The specification has relative paths ignored: they would name another folder in each working directory.
    base = named if named.is_absolute() else Path.home() / below_home
    return base / "refusion"
