"""The whole quality benchmark: what was asked for in, everything that was measured out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from refusion.benchmarks.facts import facts
from refusion.benchmarks.quality.measuring import Measured, measure
from refusion.benchmarks.quality.methods import Method
from refusion.benchmarks.quality.sets import EvaluationSet
from refusion.errors import RefusionError, UsageError
from refusion.machine import processors

SHOWN_PAIRS = 4
"""Rows of a comparison sheet."""

Progress = Callable[[str, int, int], None]
"""Called with what is being measured, the pairs done and the pairs in all."""


@dataclass(frozen=True)
class Skipped:
    """Something that was left out."""

    what: str
    reason: str


@dataclass(frozen=True)
class QualityRequest:
    """What to measure."""

    sets: tuple[EvaluationSet, ...]
    methods: tuple[Method, ...]
    unasked: frozenset[str] = frozenset()
    """Names of methods that nobody named: they are left out where they cannot run."""
    threads: int = 0
    limit: int | None = None
    """As the sets were cut; for the report."""
    skipped: tuple[Skipped, ...] = ()
    """What was left out before."""


@dataclass(frozen=True)
class QualityRun:
    """What was measured."""

    facts: dict[str, object]
    settings: dict[str, Any]
    sets: tuple[EvaluationSet, ...]
    results: tuple[Measured, ...]
    skipped: tuple[Skipped, ...] = field(default=())


def run(request: QualityRequest, progress: Progress = lambda what, done, total: None) -> QualityRun:
    """Measure every method on every set that it is for.

    All methods are made ready once before anything is measured: what does not fit is said at once.

    Raises:
        RefusionError: A method that was asked for cannot be used, or is for none of the sets.
    """
    skipped = list(request.skipped)
    planned = _planned(request, skipped)
    results = []
    for data, method in planned:
        pairs = len(data.pairs) or None
        results.append(_measured(data, method, request, pairs, progress))
    return QualityRun(
        facts(request.threads), _settings(request), request.sets, tuple(results), tuple(skipped)
    )


def _planned(request: QualityRequest, skipped: list[Skipped]) -> list[tuple[EvaluationSet, Method]]:
    fits: dict[tuple[str, str], bool] = {}
    for method in request.methods:
        refused: dict[str, list[str]] = {}
        for data in request.sets:
            reason = method.refusal(data) or _failure(method, data, may_fail=method.name in request.unasked)
            fits[method.name, data.name] = reason is None
            if reason is not None:
                refused.setdefault(reason, []).append(data.title)
        if method.name not in request.unasked and not any(fits[method.name, s.name] for s in request.sets):
            raise UsageError(f"'{method.name}' is for none of the sets: {'; '.join(refused)}")
        skipped += [
            Skipped(f"{method.name} on {', '.join(titles)}", reason) for reason, titles in refused.items()
        ]
    return [
        (data, method) for data in request.sets for method in request.methods if fits[method.name, data.name]
    ]


def _failure(method: Method, data: EvaluationSet, *, may_fail: bool) -> str | None:
    try:
        with method.opened(data):
            return None
    except RefusionError as error:
        if not may_fail:
            raise
        return str(error)


def _measured(
    data: EvaluationSet, method: Method, request: QualityRequest, pairs: int | None, progress: Progress
) -> Measured:
    done = 0

    def count() -> None:
        nonlocal done
        done += 1
        progress(f"{data.title}, {method.name}", done, pairs or done)

    workers = request.threads or processors()
    return measure(method, data, show=_shown_names(data), workers=workers, pair_done=count)


def _shown_names(data: EvaluationSet) -> frozenset[str]:
    """Choose the pairs of the comparison sheet: evenly among all, whatever the results are."""
    if data.clips:
        return frozenset(f"{clip.name}/0000" for clip in data.clips[:SHOWN_PAIRS])
    indices = np.linspace(0, len(data.pairs) - 1, min(SHOWN_PAIRS, len(data.pairs))).round()
    return frozenset(data.pairs[int(index)].name for index in indices)


def _settings(request: QualityRequest) -> dict[str, Any]:
    return {
        "limit": request.limit,
        "intervals": "95 % bootstrap over pairs; of clips, over clips",
        "sets": [
            {"set": data.title, "name": data.name, "task": data.task.name, "sha256": data.sha256()}
            for data in request.sets
        ],
        "stills": "networks: each picture stretched to its own minimum and maximum",
        "clips": "networks: a range that follows the stream; official weights: each frame by itself",
    }
