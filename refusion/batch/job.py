"""What every worker of an archive does: read a pair, fuse it, write the result."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from refusion.batch.folder import Folder, reason_of, split_url
from refusion.batch.pairs import PairFiles
from refusion.errors import InputError
from refusion.files import decode_image, encode_image
from refusion.frames import Frame
from refusion.fuser import Fuser

RESULT_SUFFIX = ".png"
FIRST_PAUSE_S = 0.25
"""Before the second try; doubled before each further one."""


class Outcome(NamedTuple):
    """What became of a pair."""

    pair: PairFiles
    tries: int
    error: str = ""
    """Empty: the result is written."""


@dataclass(frozen=True)
class Job:
    """What a worker needs to know; crosses processes and machines."""

    output: str
    """Path or URL of the folder of results."""
    folders: tuple[str, str] | None
    """Of the sources; None where pairs hold whole paths."""
    task: str = "ivif"
    model: str | None = None
    weights: Path | None = None
    backend: str = "auto"
    device: str = "auto"
    output_range: str = "image"
    threads: int = 1
    """Of each worker: with one there are as many workers as cores, which overlaps reading and encoding."""
    tries: int = 3

    def open(self) -> Fuser:
        """Load the weights; errors as Fuser's."""
        return Fuser(
            self.task,
            model=self.model,
            weights=self.weights,
            backend=self.backend,
            device=self.device,
            output_range=self.output_range,
            threads=self.threads,
        )


class PairWorker:
    """One worker, with a Fuser of its own."""

    def __init__(self, job: Job) -> None:
        """Load the weights; errors as Fuser's and Folder's."""
        self.job = job
        self._fuser = job.open()
        self._output = Folder(job.output)
        self._sources = tuple(map(Folder, job.folders)) if job.folders else None

    def __call__(self, pair: PairFiles) -> Outcome:
        """Fuse a pair; what went wrong is part of the outcome, and costs no other pair.

        A damaged picture stays damaged: it is not tried again. Stores and devices may recover.
        """
        pause_s = FIRST_PAUSE_S
        for tries in range(1, self.job.tries + 1):
            try:
                self._fuse(pair)
            except InputError as error:
                return Outcome(pair, tries, str(error))
            except Exception as error:  # each kind of store has errors of its own
                reason = f"{type(error).__name__}: {reason_of(error)}" if str(error) else type(error).__name__
            else:
                return Outcome(pair, tries)
            if tries < self.job.tries:
                time.sleep(pause_s)
                pause_s *= 2
        return Outcome(pair, self.job.tries, reason)

    def close(self) -> None:
        self._fuser.close()

    def _fuse(self, pair: PairFiles) -> None:
        a, b = (self._read(index, name) for index, name in enumerate((pair.a, pair.b)))
        try:
            fused = self._fuser(a, b)
        except InputError as error:
            raise InputError(f"{pair.a} and {pair.b}: {error}") from None
        self._output.write(pair.name + RESULT_SUFFIX, encode_image(fused, RESULT_SUFFIX))

    def _read(self, index: int, name: str) -> Frame:
        folder, file = (self._sources[index], name) if self._sources else split_url(name)
        return decode_image(folder.read(file), folder.url_of(file))
