"""Detects a source checkout that shadows, or stands in for, an installed package."""

from __future__ import annotations

import importlib.util
from pathlib import Path


def require_installed() -> None:
    """Raise ImportError where refusion is imported from a checkout that is not installed.

    The folders export, training and benchmarks of a checkout become refusion.export and so on by
    installation alone; a checkout in the working directory hides an installed wheel's.
    """
    root = Path(__file__).parent.parent
    is_checkout = (root / "setup.py").is_file() and (root / "csrc").is_dir()
    if is_checkout and importlib.util.find_spec("refusion.export") is None:
        raise ImportError(
            f"refusion was imported from the source checkout {root}, which is not installed and hides an "
            "installed package: install it with `pip install -e .`, or run from another folder"
        )
