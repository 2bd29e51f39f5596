"""Two reports against each other: what has become faster or slower, and how sure that is."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any, NamedTuple

from refusion.benchmarks.latency.ratios import FEWEST_CALLS, Ratio, samples_ratio
from refusion.benchmarks.latency.tables import Report, markdown, size_text
from refusion.errors import InputError

# What a ratio is about besides the code, where two reports differ in it.
_MACHINE = ("processor", "logical_processors", "system", "threads", "OMP_NUM_THREADS", "pre_and_post", "gpus")
_BUSY_LOAD = 0.5
"""Of a machine's processors, busy with something else before the run."""


class _Measured(NamedTuple):
    what: str
    of: str


def compare(before: Report, after: Report) -> str:
    """Return what two reports differ in besides the code, and a Markdown table of what both measured.

    The ratio says how many times faster it has become: below 1, slower.

    Raises:
        InputError: They have nothing in common.
    """
    times_before, times_after = dict(_times(before)), dict(_times(after))
    rows = []
    for name, samples in times_before.items():
        if name not in times_after:
            continue
        other = times_after[name]
        faster = samples_ratio(samples, other)
        rows.append(
            [
                *name,
                f"{statistics.median(samples['times_ms']):.4g}",
                f"{statistics.median(other['times_ms']):.4g}",
                f"{faster.value:.3f}",
                f"{faster.low:.3f} to {faster.high:.3f}",
                _verdict(faster, min(len(samples["times_ms"]), len(other["times_ms"]))),
            ]
        )
    if not rows:
        raise InputError("the two reports have nothing in common to compare")
    table = markdown(("what", "of", "before ms", "after ms", "times faster", "95 % interval", ""), rows)
    notes = [f"not comparable: {line}" for line in objections(before, after)]
    notes += [
        f"only in one of them: {name.what}, {name.of}" for name in sorted(times_before.keys() ^ times_after)
    ]
    return "\n".join([*notes, *([""] if notes else []), table])


def objections(before: Report, after: Report) -> list[str]:
    """Return why ratios between two reports would say something of more than the code; mostly nothing."""
    found = []
    facts_before, facts_after = before.get("facts", {}), after.get("facts", {})
    for name in _MACHINE:
        found += _difference(name, facts_before.get(name), facts_after.get(name))
    settings_before, settings_after = before.get("settings", {}), after.get("settings", {})
    found += _difference("task", settings_before.get("task"), settings_after.get("task"))
    for model in sorted(before.get("weights", {}).keys() & after.get("weights", {})):
        if before["weights"][model] != after["weights"][model]:
            found.append(f"the weights of the {model} model are not the same files")
    for name, facts in (("before", facts_before), ("after", facts_after)):
        load, processors = facts.get("load_average_1min"), facts.get("logical_processors")
        if load is not None and processors and load > _BUSY_LOAD * processors:
            found.append(f"{name}: the machine was busy, its load before the run was {load}")
    return found


def _difference(name: str, before: object, after: object) -> list[str]:
    return [] if before == after else [f"{name} is {before!r} before, {after!r} after"]


def _verdict(faster: Ratio, calls: int) -> str:
    if calls < FEWEST_CALLS:
        return "too few calls to tell"
    return "faster" if faster.low > 1 else "slower" if faster.high < 1 else "not told apart"


def _times(report: Report) -> Iterator[tuple[_Measured, dict[str, Any]]]:
    """Yield what was measured, and its samples."""
    for section in ("network", "scaling"):
        for result in report.get(section, []):
            where = f"{result['title']}, {size_text(result)}, batch {result['batch']}"
            if section == "scaling":
                where += f", {result['threads']} threads"
            yield _Measured(section, where), result["network"]
    for result in report.get("frames", []):
        where = f"{result['title']}, {size_text(result)}"
        if result.get("batch", 1) > 1:
            where += f", batch {result['batch']}"
        yield _Measured("pair to picture", where), result["frame"]
        if result["pre_and_post"] is not None:
            yield _Measured("pre + post", where), result["pre_and_post"]
    for result in report.get("streams", []):
        where = f"{result['title']}, {result['videos']}"
        times_ms = [1e3 * run["seconds"] / run["frames"] for run in result["runs"]]
        yield _Measured("videos to video, a frame", where), {"times_ms": times_ms}
    for result in report.get("one_at_a_time", []):
        where = f"{result['title']}, {result['videos']}"
        yield _Measured("videos to video, one frame at a time", where), result["frame"]
