"""A job whose workers are killed, in a module that their processes can import."""

from __future__ import annotations

import os
import signal

from refusion import Fuser
from refusion.batch.job import Job, PairWorker
from refusion.batch.pairs import PairFiles


class DyingJob(Job):
    """A job whose workers are killed when they come to the pair 2."""

    def open(self) -> Fuser:
        fuse = PairWorker._fuse

        def killed(worker: PairWorker, pair: PairFiles) -> None:
            if pair.name == "2":
                os.kill(os.getpid(), signal.SIGKILL)
            fuse(worker, pair)

        PairWorker._fuse = killed  # type: ignore[method-assign]
        return super().open()
