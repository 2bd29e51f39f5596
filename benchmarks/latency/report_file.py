"""Reports on disk."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from refusion.errors import InputError
from refusion.files import replacing

FORMAT = "refusion latency 1"
_NUMBERS = re.compile(r"\[\s+([-\d.e]+(?:,\s+[-\d.e]+)*)\s+\]")


def read_report(path: Path) -> dict[str, Any]:
    """Read a report that `refusion bench latency --json` wrote.

    Raises:
        InputError: There is no such file, or it is no such report.
    """
    try:
        report = json.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(f"there is no report {path}") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path} cannot be read as JSON: {error}") from None
    found = report.get("format") if isinstance(report, dict) else None
    if found != FORMAT:
        raise InputError(
            f"{path} is no report of `refusion bench latency --json`: its format is {found!r}, not {FORMAT!r}"
        )
    return dict(report)


def write_report(path: Path, report: dict[str, Any], *, force: bool) -> None:
    """Write a report, a line for each list of times.

    Raises:
        OutputError: The file is there already (without force), or cannot be written.
    """
    text = json.dumps(report, indent=1)
    text = _NUMBERS.sub(lambda match: "[" + re.sub(r"\s+", " ", match[1]) + "]", text)
    with replacing(path, force=force) as partial:
        partial.write_text(text + "\n")
