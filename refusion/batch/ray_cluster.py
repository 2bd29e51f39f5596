"""Workers on a Ray cluster: Ray Data with one actor for each device."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import socket
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from refusion.batch.job import Job, Outcome, PairWorker
from refusion.batch.pairs import PairFiles
from refusion.errors import BackendError

BLOCK_PAIRS = 8
"""Pairs that an actor takes at once: what is lost where it dies, and done again."""
REACHABLE_S = 5.0
"""A cluster's address must answer within this."""


class RayWorker:
    """A worker as Ray Data calls it: rows in, rows out."""

    def __init__(self, job: Job) -> None:
        self._worker = PairWorker(job)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        outcome = self._worker(PairFiles(row["name"], row["a"], row["b"]))
        return {**outcome.pair._asdict(), "tries": outcome.tries, "error": outcome.error}


def run_on_ray(
    pairs: Iterable[PairFiles],
    job: Job,
    *,
    workers: int = 0,
    address: str | None = None,
) -> Iterator[Outcome]:
    """Fuse pairs on a Ray cluster; yield what became of each, in the order in which they are done.

    An actor that dies is started again by Ray, and its block of pairs done again, up to the job's tries;
    then the pairs of the block are tried one by one, and the one that kills actors is told from the others.

    Args:
        pairs: What to fuse.
        job: How; its paths must mean the same on every machine.
        workers: Actors; 0: one for each GPU of the cluster, without any one for each `job.threads` CPUs.
        address: Of the cluster; auto: $RAY_ADDRESS, or the one that this machine is part of; local or None:
            one that is started here and ends with the run.

    Raises:
        BackendError: Ray is not installed, the cluster cannot be reached, or its workers cannot start.
    """
    if importlib.util.find_spec("ray") is None:
        raise BackendError("Ray is not installed: pip install 'refusion[ray]'")
    import ray

    with _connected(ray, address):
        gpus = 0 if job.device == "cpu" else int(ray.cluster_resources().get("GPU", 0))
        cpus = int(ray.cluster_resources().get("CPU", 1))
        actors = workers or gpus or max(1, cpus // max(1, job.threads))
        left = list(pairs)
        for block in (BLOCK_PAIRS, 1):
            missing = {pair.name: pair for pair in left}
            for outcome in _mapped(ray, left, job, actors, num_gpus=1 if gpus else 0, block=block):
                del missing[outcome.pair.name]
                yield outcome
            left = list(missing.values())
            if not left:
                return
        for pair in left:
            yield Outcome(pair, job.tries, "its worker died (killed by the system, or crashed)")


def _mapped(
    ray: Any, pairs: Sequence[PairFiles], job: Job, actors: int, *, num_gpus: int, block: int
) -> Iterator[Outcome]:
    context = ray.data.DataContext.get_current()
    # A block whose actor died for good is left out; its pairs are then missing among the outcomes.
    context.max_errored_blocks = -1
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    rows = ray.data.from_items(
        [pair._asdict() for pair in pairs], override_num_blocks=(len(pairs) + block - 1) // block
    )
    fused = rows.map(
        RayWorker,
        fn_constructor_args=(job,),
        compute=ray.data.ActorPoolStrategy(
            size=min(actors, len(pairs)),
            # What waits at an actor that dies counts as tried: looked at one by one, pairs do not wait.
            max_tasks_in_flight_per_actor=1 if block == 1 else None,
        ),
        num_cpus=0 if num_gpus else max(1, job.threads),
        num_gpus=num_gpus,
        # Without an end to them, a pair that kills actors would keep the run from ending.
        ray_remote_args_fn=lambda: {"max_task_retries": job.tries - 1},
    )
    try:
        for row in fused.iter_rows():
            yield Outcome(PairFiles(row["name"], row["a"], row["b"]), row["tries"], row["error"])
    except ray.exceptions.RayError as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise BackendError(f"the workers on Ray failed: {lines[-1].strip()}") from None


@contextlib.contextmanager
def _connected(ray: Any, address: str | None) -> Iterator[None]:
    if ray.is_initialized():
        yield
        return
    _refuse_unreachable(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise BackendError(f"no Ray cluster at {address or 'this machine'}: {error}") from None
    try:
        yield
    finally:
        ray.shutdown()


def _refuse_unreachable(address: str | None) -> None:
    """Raise BackendError if nothing listens at HOST:PORT: Ray itself would try for many minutes."""
    host, _, port = (address or "").rpartition(":")
    if not port.isdigit() or "/" in host:
        return
    try:
        socket.create_connection((host, int(port)), timeout=REACHABLE_S).close()
    except (OSError, OverflowError) as error:
        raise BackendError(f"no Ray cluster at {address}: {error}") from None
