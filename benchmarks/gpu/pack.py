"""Packs the training pairs of tasks for a machine that sees nothing but a copy of the checkout.

    python -m refusion.benchmarks.gpu.pack ivif=DIR [mif=DIR mfif=DIR meif=DIR ...]

Each task becomes benchmarks/gpu/.pack/TASK.tar: the image files of its pairs, as they are, so that nothing is
lost. They were compressed before; the tar adds nothing but order.
"""

from __future__ import annotations

import argparse
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from refusion.benchmarks.gpu.folders import PACKED, note_commit
from refusion.errors import InputError, UsageError
from refusion.tasks import Task
from refusion.training.layouts import find_pairs

LARGEST_MIB = 56
"""Of the 64 MiB that travel, what the checkout and a run to be resumed leave for data."""


def pack(task: Task, data: Path, folder: Path = PACKED) -> Path:
    """Write TASK.tar with the pairs that the task has in a data folder.

    Raises:
        InputError: The folder has no pairs, mistakes, or more than LARGEST_MIB.
    """
    found = find_pairs(data, task)
    if found.mistakes:
        raise InputError(f"{data} cannot be packed:\n  " + "\n  ".join(found.mistakes))
    files = sorted({path for pair in found.pairs for path in (pair.a, pair.b)})
    size_mib = sum(path.stat().st_size for path in files) / 2**20
    if size_mib > LARGEST_MIB:
        raise InputError(
            f"the {task.name} pairs in {data} have {size_mib:.0f} MiB, more than the {LARGEST_MIB} that can "
            "travel: pack a part of them"
        )
    folder.mkdir(parents=True, exist_ok=True)
    packed = folder / f"{task.name}.tar"
    with tarfile.open(packed, "w") as archive:
        for path in files:
            archive.add(path, arcname=path.relative_to(data), filter=_anonymous)
    return packed


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Leave owner and time out: the same files give the same archive."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    member.mode = 0o644
    return member


@contextmanager
def unpacked(task: Task, folder: Path = PACKED) -> Iterator[Path]:
    """Give the pairs of a task as a folder that lasts as long as the block.

    Raises:
        InputError: The task was not packed.
    """
    packed = folder / f"{task.name}.tar"
    if not packed.is_file():
        raise InputError(
            f"there is no {packed}: pack the data with `python -m {__spec__.name} {task.name}=DIR`"
        )
    with TemporaryDirectory(prefix=f"{task.name}-") as scratch, tarfile.open(packed) as archive:
        archive.extractall(scratch, filter="data")
        yield Path(scratch)


def main(arguments: Sequence[str] | None = None) -> None:
    """Pack every task of the command line, and note the commit."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="+", metavar="TASK=DIR")
    for assignment in parser.parse_args(arguments).data:
        name, separator, directory = assignment.partition("=")
        if not separator:
            raise UsageError(f"'{assignment}' names no data: write TASK=DIR")
        packed = pack(Task.parse(name), Path(directory))
        print(f"{packed}: {packed.stat().st_size / 2**20:.1f} MiB")
    note_commit()


if __name__ == "__main__":
    main()
