"""Reports of quality as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from refusion.benchmarks.quality.intervals import Comparison, comparisons, mean_intervals
from refusion.benchmarks.quality.known_figures import Check, checks
from refusion.benchmarks.quality.measuring import Measured
from refusion.benchmarks.quality.run import QualityRun
from refusion.errors import InputError
from refusion.files import replacing
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


def read_report(path: Path) -> dict[str, Any]:
    """Read a report that `refusion bench quality --json` wrote.

    Raises:
        InputError: There is no such file, or it is no such report.
    """
    try:
        report = json.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(f"there is no report {path}") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path} cannot be read as JSON: {error}") from None
    found = report.get("format") if isinstance(report, dict) else None
    if found != FORMAT:
        raise InputError(
            f"{path} is no report of `refusion bench quality --json`: its format is {found!r}, not {FORMAT!r}"
        )
    return dict(report)


def write_report(path: Path, run: QualityRun, *, force: bool) -> None:
    """Write a run's report.

    Raises:
        OutputError: The file is there already (without force), or cannot be written.
    """
    with replacing(path, force=force) as partial:
        partial.write_text(json.dumps(as_json(run), indent=1) + "\n")
