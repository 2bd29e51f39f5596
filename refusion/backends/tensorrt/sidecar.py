"""The record beside a plan: where it lies, and reading one that anyone may have written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from refusion.backends.tensorrt.identity import FORMAT, EngineRecord
from refusion.errors import BackendError, UsageError

LARGEST_SIDECAR_BYTES = 1 << 20
"""A sidecar takes about 2 kB; more is not one, and is not read into memory."""


def sidecar_of(plan: Path) -> Path:
    """Return where a plan's record lies."""
    return plan.with_name(f"{plan.name}.json")


def log_of(plan: Path) -> Path:
    """Return where the log of a plan's build lies."""
    return plan.with_name(f"{plan.name}.log")


def sidecar_text(record: EngineRecord) -> str:
    """Return a record as its file holds it."""
    return json.dumps(record.to_json(), indent=2) + "\n"


def read_sidecar(plan: Path) -> EngineRecord | None:
    """Return the record beside a plan, or None if there is none.

    Raises:
        BackendError: It is damaged, no record, or of a later format.
    """
    path = sidecar_of(plan)
    advice = "export the engine again, or update refusion"
    try:
        if path.stat().st_size > LARGEST_SIDECAR_BYTES:
            raise ValueError(f"it has {path.stat().st_size} bytes")
        data = json.loads(path.read_bytes(), parse_constant=_refused_constant)
        if not isinstance(data, dict):
            raise ValueError("it is not a JSON object")
        if isinstance(data.get("format"), int) and data["format"] > FORMAT:
            raise BackendError(
                f"{path} has format {data['format']}, this refusion reads up to {FORMAT}: {advice}"
            )
        if data.get("format") != FORMAT:
            raise ValueError("it states no format")
        return EngineRecord.from_json(data)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BackendError(f"{path} cannot be read: {error.strerror}") from None
    except KeyError as error:
        raise BackendError(f"{path} is damaged, or no engine's record (it lacks {error}): {advice}") from None
    # UsageError: names that this version does not know. RecursionError: JSON nested on purpose.
    except (ValueError, TypeError, AttributeError, UsageError, RecursionError) as error:
        raise BackendError(f"{path} is damaged, or no engine's record ({error}): {advice}") from None


def _refused_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
