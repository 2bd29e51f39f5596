"""Reports on disk, of whichever benchmark: JSON with the key "format"."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from refusion.errors import InputError
from refusion.files import replacing

Report = dict[str, Any]
_NUMBERS = re.compile(r"\[\s+([-\d.e]+(?:,\s+[-\d.e]+)*)\s+\]")


def read_report(path: Path, *, of: str | None = None) -> Report:
    """Read a report.

    Args:
        path: The file.
        of: The format that it must have; None: any.

    Raises:
        InputError: There is no such file, or it is no report, or of another format.
    """
    try:
        report = json.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(f"there is no report {path}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read as JSON: {error}") from None
    if not isinstance(report, dict) or not isinstance(report.get("format"), str):
        raise InputError(f'{path} is no report of a benchmark: it has no "format"')
    if of is not None and report["format"] != of:
        raise InputError(
            f"{path} is another benchmark's report: its format is {report['format']!r}, not {of!r}"
        )
    return report


def write_report(path: Path, report: Mapping[str, Any], *, force: bool) -> None:
    """Write a report, a line for each list of numbers.

    Raises:
        OutputError: The file is there already (without force), or cannot be written.
    """
    text = json.dumps(report, indent=1)
    text = _NUMBERS.sub(lambda match: "[" + re.sub(r"\s+", " ", match[1]) + "]", text)
    with replacing(path, force=force) as partial:
        partial.write_text(text + "\n")
