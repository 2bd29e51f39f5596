"""Reports of quality as JSON."""

from __future__ import annotations

from typing import Any

import numpy as np

from refusion.benchmarks.quality.intervals import Comparison, comparisons, mean_intervals
from refusion.benchmarks.quality.known_figures import Check, checks
from refusion.benchmarks.quality.measuring import Measured
from refusion.benchmarks.quality.run import QualityRun
from refusion.metrics import mean

FORMAT = "refusion-quality-1"


def as_json(run: QualityRun) -> dict[str, Any]:
    """Return a run as JSON holds it: means of every method on every set."""
    return {
        "format": FORMAT,
        "facts": run.facts,
        "settings": run.settings,
        "results": [_result(one) for one in run.results],
        "video": [_steadiness(one) for one in run.results if one.flicker],
        "paired": [_comparison(one) for one in comparisons(run.results)],
        "checks": [_check(one) for one in checks(run.results, _hashes(run))],
        "skipped": [{"what": one.what, "why": one.reason} for one in run.skipped],
    }


def _result(measured: Measured) -> dict[str, Any]:
    return {
        "set": measured.data.title,
        "task": measured.data.task.name,
        "pairs": len(measured.records),
        "method": measured.method,
        "kind": measured.kind.value,
        "means": mean(measured.records),
        "intervals_95": {name: list(one) for name, one in mean_intervals(measured).items()},
        "weights_sha256": measured.weights_sha256,
        "runs_on": measured.description,
        "shown": [one.pair.name for one in measured.shown],
    }


def _hashes(run: QualityRun) -> dict[str, str]:
    return {one["name"]: one["sha256"] for one in run.settings["sets"]}


def _check(check: Check) -> dict[str, Any]:
    return {
        "set": check.data,
        "method": check.method,
        "metric": check.metric,
        "difference": check.difference,
        "agrees": check.agrees,
    }


def _comparison(compared: Comparison) -> dict[str, Any]:
    return {
        "set": compared.data,
        "method": compared.method,
        "against": compared.against,
        "metrics": {
            name: {
                "difference": one.mean,
                "interval_95": list(one.interval),
                "won": one.won,
                "pairs": one.pairs,
            }
            for name, one in compared.differences.items()
        },
    }


def _steadiness(measured: Measured) -> dict[str, Any]:
    clips = measured.flicker
    return {
        "set": measured.data.title,
        "method": measured.method,
        "kind": measured.kind.value,
        "flicker": float(np.mean([one.fused for one in clips.values()])),
        "excess": float(np.mean([one.excess for one in clips.values()])),
        "clips": {
            name: {"flicker": one.fused, "a": one.a, "b": one.b, "excess": one.excess}
            for name, one in clips.items()
        },
    }
