"""The folder that engines lie in: one builder at a time, whole engines only, a log of each build."""

from __future__ import annotations

import dataclasses
import hashlib
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from refusion.backends.tensorrt.identity import EngineIdentity, EngineRecord, finite
from refusion.backends.tensorrt.logbook import Recording
from refusion.backends.tensorrt.sidecar import log_of, read_sidecar, sidecar_of, sidecar_text
from refusion.backends.tensorrt.signing import is_signed, sign
from refusion.errors import OutputError, RefusionError
from refusion.export.folder_lock import locked_folder
from refusion.files import replacing

Report = Callable[[str], None]
"""Takes lines for people."""
Verify = Callable[[Path], "dict[str, Any]"]
"""Runs a plan; returns its accuracy against FP32, or raises a RefusionError."""


@contextmanager
def alone_in(folder: Path, plan: Path, report: Report) -> Iterator[None]:
    """Hold the folder's lock; find out before a build of minutes whether the folder can be written to."""
    with ExitStack() as held:
        with _writing(plan):
            waiting = f"another process builds into {folder}: waiting"
            held.enter_context(locked_folder(folder, on_wait=lambda: report(waiting)))
            with tempfile.TemporaryFile(dir=folder):
                pass
        yield


@contextmanager
def _writing(plan: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"{plan} cannot be written: {error.strerror}") from None


def kept_engine(plan: Path, identity: EngineIdentity, report: Report) -> EngineRecord | None:
    """Return the record of the engine that is there, if it is this one, whole, and of this user."""
    try:
        record = read_sidecar(plan)
        if record is None or not plan.is_file():
            return None
        # The name ends in a part of the key; all of it must agree.
        if record.identity != identity or not is_signed(record):
            report(f"{plan} is there, but not as you built it: built again")
            return None
        if hashlib.sha256(plan.read_bytes()).hexdigest() != record.plan_sha256:
            report(f"{plan} is damaged: built again")
            return None
    except (RefusionError, OSError) as error:
        report(f"{error}: built again")
        return None
    return record


def write_log(plan: Path, heading: str, lines: Recording, report: Report) -> None:
    """Write the log of a plan's build; a log that cannot be written is reported, and fails no build."""
    try:
        with replacing(log_of(plan), force=True) as partial:
            partial.write_text(heading + lines.text(), encoding="utf-8", errors="backslashreplace")
    except OutputError as error:
        report(str(error))


def put_in_place(
    plan: Path, data: bytes, record: EngineRecord, verify: Verify | None, report: Report
) -> EngineRecord:
    """Write plan and record, verify them, and move them to their names; return the final record."""
    with ExitStack() as stack:
        with _writing(plan):
            folder = tempfile.TemporaryDirectory(
                prefix=f".{plan.stem}.", dir=plan.parent, ignore_cleanup_errors=True
            )
            # With its own name and record, so that it can be loaded as any other engine.
            staged = Path(stack.enter_context(folder)) / plan.name
            staged.write_bytes(data)
            record = _write_record(staged, record, report)
        if verify is not None:
            measured = finite(verify(staged))
            with _writing(plan):
                record = _write_record(staged, dataclasses.replace(record, verification=measured), report)
        # The record makes a plan an engine: without one it is foreign, neither found nor loaded. So the old
        # record goes first and the new one comes last: wherever a crash falls in between, no plan passes for
        # one that it is not.
        with _writing(plan):
            sidecar_of(plan).unlink(missing_ok=True)
            staged.replace(plan)
            sidecar_of(staged).replace(sidecar_of(plan))
    return record


def _write_record(plan: Path, record: EngineRecord, report: Report) -> EngineRecord:
    try:
        record = sign(dataclasses.replace(record, signature=""))
    except RefusionError as error:
        report(f"the engine is not signed, and will need --trust to be loaded: {error}")
    sidecar_of(plan).write_text(sidecar_text(record), encoding="utf-8")
    return record
