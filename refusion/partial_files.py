"""Partial files: written beside their target; what a killed process left is written over by the next."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

MOST_STEM = 40
"""Characters that a partial file has of its target's name, which may be as long as names can be."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@contextmanager
def partial_file(target: Path) -> Iterator[Path]:
    """Give an empty file beside the target that nobody else writes to; then it takes the target's place.

    Its name is the same for all processes until the machine boots again, so that the next run writes over
    what a killed one left. A lock tells whether another process is still writing there; where one is, or
    where there are no locks, the name is random. Machines that share a disk have names of their own, as
    locks may not reach from one to the other.

    The block writes into the file, and puts no other in its place. Where it raises, the file is removed.

    Raises:
        OSError: The file cannot be made, or cannot take the target's place.
    """
    descriptor, partial = _claimed(target) or _random(target)
    try:
        yield partial
        if not os.path.samestat(os.fstat(descriptor), partial.stat()):
            raise RuntimeError(f"{partial} was replaced, not written: others cannot tell that it is in use")
        partial.chmod(0o666 & ~_umask())
        partial.replace(target)
    except BaseException:
        # Not after replacing: by then the name may be another process's.
        partial.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def _random(target: Path) -> tuple[int, Path]:
    # The suffix is kept: encoders go by it.
    descriptor, name = tempfile.mkstemp(prefix=_prefix(target), suffix=target.suffix, dir=target.parent)
    return descriptor, Path(name)


def _claimed(target: Path) -> tuple[int, Path] | None:
    """Open, lock and empty the file of the usual name; None where that cannot be done safely."""
    boot = _boot_id()
    if not boot:
        return None
    partial = target.with_name(f"{_prefix(target)}{boot}{target.suffix}")
    try:
        descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError:  # another user's, or a folder that cannot be written to, which the random name tells of
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_ours_alone(descriptor, partial):
            os.ftruncate(descriptor, 0)
            return descriptor, partial
    except BlockingIOError:  # another process is writing it
        pass
    except OSError:  # no locks on this file system
        partial.unlink(missing_ok=True)
    os.close(descriptor)
    return None


def _is_ours_alone(descriptor: int, partial: Path) -> bool:
    """Tell whether the locked file is the user's, and has this name alone: it may have become a target."""
    held = os.fstat(descriptor)
    with suppress(FileNotFoundError):
        found = partial.stat(follow_symlinks=False)
        is_named_so = os.path.samestat(held, found) and stat.S_ISREG(held.st_mode)
        return is_named_so and held.st_nlink == 1 and held.st_uid == os.geteuid()
    return False


def _prefix(target: Path) -> str:
    return f".{target.stem[:MOST_STEM]}."


@cache
def _boot_id() -> str:
    """Return what tells this boot of this machine from others; empty where nothing does."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def _umask() -> int:
    # The only way to read it is to set it.
    mask = os.umask(0)
    os.umask(mask)
    return mask
