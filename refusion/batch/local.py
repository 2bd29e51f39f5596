"""Workers on this machine, each a process: one may die without taking the others' results."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait as wait_for
from multiprocessing.queues import SimpleQueue

from refusion.batch.job import Job, Outcome, PairWorker
from refusion.batch.pairs import PairFiles

QUEUED_PER_WORKER = 2
"""Pairs given to a worker ahead: enough that it never waits, few enough that a death costs little."""

_worker: PairWorker | None = None


def run_locally(
    pairs: Iterable[PairFiles], job: Job, *, workers: int, gpus: Sequence[int] = ()
) -> Iterator[Outcome]:
    """Fuse pairs on several processes; yield what became of each, in the order in which they are done.

    When a worker dies (the system kills it, a driver crashes), the pairs that were being fused are fused one
    at a time, so that the one that kills workers is told from the others.

    Args:
        pairs: What to fuse.
        job: How.
        workers: Processes.
        gpus: Indices of GPUs, which the workers take in turns; none: the job's device decides.
    """
    waiting = iter(pairs)
    suspects: deque[PairFiles] = deque()
    deaths: dict[str, int] = {}
    while True:
        alone = bool(suspects)
        source: Iterator[PairFiles] = iter([suspects.popleft()]) if alone else waiting
        in_flight: dict[Future[Outcome], PairFiles] = {}
        with _pool(job, 1 if alone else workers, gpus) as pool:
            try:
                yield from _drain(pool, source, in_flight, 1 if alone else workers * QUEUED_PER_WORKER)
            except BrokenProcessPool:
                for pair in in_flight.values():
                    deaths[pair.name] = deaths.get(pair.name, 0) + alone
                    if deaths[pair.name] >= job.tries:
                        yield Outcome(pair, job.tries, "its worker died (killed by the system, or crashed)")
                    else:
                        suspects.append(pair)
                continue
        if not alone:
            return


def _drain(
    pool: ProcessPoolExecutor,
    source: Iterator[PairFiles],
    in_flight: dict[Future[Outcome], PairFiles],
    most: int,
) -> Iterator[Outcome]:
    """Keep the pool busy until the source is empty; pairs without an outcome stay in `in_flight`."""
    for pair in source:
        try:
            in_flight[pool.submit(_fuse, pair)] = pair
        except BrokenProcessPool:
            in_flight[Future()] = pair
            raise
        if len(in_flight) >= most:
            yield from _finished(in_flight)
    while in_flight:
        yield from _finished(in_flight)


def _finished(in_flight: dict[Future[Outcome], PairFiles]) -> Iterator[Outcome]:
    done, _ = wait(in_flight, return_when=FIRST_COMPLETED)
    # Results first: where the pool broke, those that came before are not fused again.
    for future in sorted(done, key=lambda one: one.exception() is not None):
        outcome = future.result()
        del in_flight[future]
        yield outcome


def _pool(job: Job, workers: int, gpus: Sequence[int]) -> ProcessPoolExecutor:
    # Spawned: a forked process would share CUDA contexts and threads of ours.
    context = multiprocessing.get_context("spawn")
    turns: SimpleQueue[int] = context.SimpleQueue()
    for index in range(workers if gpus else 0):
        turns.put(gpus[index % len(gpus)])
    return ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start, initargs=(job, turns if gpus else None)
    )


def _start(job: Job, gpus: SimpleQueue[int] | None) -> None:
    global _worker
    # Ctrl-C is the parent's, which lets the pairs in flight be finished.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if gpus is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = str(gpus.get())
    _worker = PairWorker(job)


def _end_with_parent() -> None:
    """A killed parent leaves its workers waiting for work that never comes."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait_for([parent.sentinel])
    os._exit(1)


def _fuse(pair: PairFiles) -> Outcome:
    assert _worker is not None
    return _worker(pair)
