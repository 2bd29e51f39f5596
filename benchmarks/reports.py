"""Reports on disk, of whichever benchmark: JSON with the key "format"."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from refusion.errors import InputError

Report = dict[str, Any]


def read_report(path: Path) -> Report:
    """Read a report.

    Raises:
        InputError: There is no such file, or it is no report.
    """
    try:
        report = json.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(f"there is no report {path}") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path} cannot be read as JSON: {error}") from None
    if not isinstance(report, dict) or not isinstance(report.get("format"), str):
        raise InputError(f'{path} is no report of a benchmark: it has no "format"')
    return report
