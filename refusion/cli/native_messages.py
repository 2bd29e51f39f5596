"""What C libraries print to standard error while a command runs."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def held_native_messages() -> Iterator[None]:
    """Hold native messages back; show them at the end, unless the block ends in SystemExit with a failure.

    libpng, libjpeg and OpenCV print their own account of a damaged file before the command can give its
    one line. Where a command succeeds, or fails in a way that nobody foresaw, what they say is wanted.
    Python's own output is not held. Does nothing where Python writes elsewhere than to the process's
    standard error.
    """
    if not _is_own_stderr():
        yield
        return
    try:
        held = tempfile.TemporaryFile()  # noqa: SIM115  (closed below)
    except OSError:  # no folder for temporary files, or a full disk: the command may do without
        yield
        return
    sys.stderr.flush()
    console, python_stderr = os.dup(2), sys.stderr
    failed = False
    encoding, errors = python_stderr.encoding, python_stderr.errors
    with (
        held,
        os.fdopen(console, "w", buffering=1, encoding=encoding, errors=errors, closefd=False) as replacement,
    ):
        os.dup2(held.fileno(), 2)
        sys.stderr = replacement
        try:
            yield
        except SystemExit as leaving:
            failed = leaving.code not in (None, 0)
            raise
        finally:
            replacement.flush()
            sys.stderr = python_stderr
            os.dup2(console, 2)
            os.close(console)
            if not failed:
                held.seek(0)
                os.write(2, held.read())


def _is_own_stderr() -> bool:
    try:
        return sys.stderr.fileno() == 2
    except (AttributeError, OSError, ValueError):  # None, closed, or replaced by an object without a file
        return False
