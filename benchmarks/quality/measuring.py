"""One method on one set: the metrics of every pair, and the flicker of every clip."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType

from refusion.benchmarks.quality.methods import Fuse, Kind, Method, Opened
from refusion.benchmarks.quality.sets import Clip, EvaluationSet, ImagePair, NamedPair
from refusion.errors import InputError
from refusion.frames import Frame
from refusion.metrics import Flicker, PairRecord, compare_flicker, evaluate

PairDone = Callable[[], None]


@dataclass(frozen=True)
class Shown:
    """A pair with its result, kept for the comparison sheet."""

    pair: NamedPair
    fused: Frame


@dataclass(frozen=True)
class Measured:
    """One method on one set."""

    data: EvaluationSet
    method: str
    kind: Kind
    records: tuple[PairRecord, ...]
    shown: tuple[Shown, ...]
    flicker: dict[str, Flicker] = field(default_factory=dict)
    """By clip."""
    weights_sha256: str | None = None
    description: str | None = None


@dataclass(frozen=True)
class _Outcome:
    record: PairRecord
    shown: Shown | None


def measure(
    method: Method,
    data: EvaluationSet,
    *,
    show: frozenset[str] = frozenset(),
    workers: int = 1,
    pair_done: PairDone = lambda: None,
) -> Measured:
    """Fuse every pair of a set and compute the metrics.

    Args:
        method: What fuses.
        data: What is fused.
        show: Names of the pairs whose pictures are kept.
        workers: Threads that compute metrics.
        pair_done: Called after each pair.

    Raises:
        RefusionError: The method cannot be used, or a pair cannot be read or measured.
    """
    flicker: dict[str, Flicker] = {}
    with method.opened(data) as opened, _Evaluations(workers, pair_done) as evaluations:
        for pair in data.pairs:
            evaluations.add(_still, pair, opened, show)
        for clip in data.clips:
            flicker[clip.name] = compare_flicker(_moments(clip, opened.clip(), evaluations, show))
        outcomes = evaluations.finish()
    return Measured(
        data,
        method.name,
        method.kind,
        tuple(outcome.record for outcome in outcomes),
        tuple(outcome.shown for outcome in outcomes if outcome.shown is not None),
        flicker,
        opened.weights_sha256,
        opened.description,
    )


def _still(item: ImagePair, opened: Opened, show: frozenset[str]) -> _Outcome:
    pair = item.read()
    with _naming(pair):
        fused = opened.fuse(pair)
    return _evaluated(pair, fused, show)


def _evaluated(pair: NamedPair, fused: Frame, show: frozenset[str]) -> _Outcome:
    with _naming(pair):
        record = PairRecord(pair.name, evaluate(fused, pair.a, pair.b))
    return _Outcome(record, Shown(pair, fused) if pair.name in show else None)


@contextmanager
def _naming(pair: NamedPair) -> Iterator[None]:
    """Say in errors which pair it was: the checks of single pairs cannot know."""
    try:
        yield
    except InputError as error:
        raise InputError(f"pair {pair.name}: {error}") from error


def _moments(
    clip: Clip, fuse: Fuse, evaluations: _Evaluations, show: frozenset[str]
) -> Iterator[tuple[Frame, Frame, Frame]]:
    """Yield the frames of a clip with their sources, each given to the evaluations on the way."""
    for pair in clip.read():
        fused = fuse(pair)
        evaluations.add(_evaluated, pair, fused, show)
        yield fused, pair.a, pair.b


class _Evaluations:
    """Runs calls in threads, a few ahead, and keeps their outcomes in order. A context manager."""

    def __init__(self, workers: int, pair_done: PairDone) -> None:
        self._pool = ThreadPoolExecutor(workers)
        self._most_ahead = 2 * workers
        self._pending: deque[Future[_Outcome]] = deque()
        self._outcomes: list[_Outcome] = []
        self._pair_done = pair_done

    def add(self, call: Callable[..., _Outcome], *arguments: object) -> None:
        """Begin a call, once there is room for it."""
        if len(self._pending) >= self._most_ahead:
            self._take()
        self._pending.append(self._pool.submit(call, *arguments))

    def finish(self) -> list[_Outcome]:
        """Wait for all, and return the outcomes in the order of the calls."""
        while self._pending:
            self._take()
        return self._outcomes

    def _take(self) -> None:
        self._outcomes.append(self._pending.popleft().result())
        self._pair_done()

    def __enter__(self) -> _Evaluations:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # After a failure the rest is not waited for.
        self._pool.shutdown(cancel_futures=True)
