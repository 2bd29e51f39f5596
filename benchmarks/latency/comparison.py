"""Two reports against each other: what has become faster or slower, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from refusion.benchmarks.latency.samples import ratio
from refusion.benchmarks.latency.tables import Report, markdown
from refusion.errors import InputError


def compare(before: Report, after: Report) -> str:
    """Return a Markdown table of everything that both reports measured.

    The ratio says how many times faster it has become: below 1, slower.

    Raises:
        InputError: They have nothing in common.
    """
    times_before, times_after = dict(_times(before)), dict(_times(after))
    rows = []
    for name, values in times_before.items():
        if name not in times_after:
            continue
        faster = ratio(values, times_after[name])
        verdict = "faster" if faster.low > 1 else "slower" if faster.high < 1 else "not told apart"
        rows.append(
            [
                *name,
                f"{_median(values):.4g}",
                f"{_median(times_after[name]):.4g}",
                f"{faster.value:.3f}",
                f"{faster.low:.3f} to {faster.high:.3f}",
                verdict,
            ]
        )
    if not rows:
        raise InputError("the two reports have nothing in common to compare")
    return markdown(("what", "of", "before ms", "after ms", "times faster", "95 % interval", ""), rows)


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def _times(report: Report) -> Iterator[tuple[tuple[str, str], list[float]]]:
    """Yield ((what, contender and size), times) of everything with samples."""
    for section in ("network", "scaling"):
        for result in report.get(section, []):
            where = f"{result['title']}, {_size(result)}, batch {result['batch']}"
            if section == "scaling":
                where += f", {result['threads']} threads"
            yield (section, where), result["network"]["times_ms"]
    for result in report.get("frames", []):
        where = f"{result['title']}, {_size(result)}"
        yield ("pair to picture", where), result["frame"]["times_ms"]
        if result["pre_and_post"] is not None:
            yield ("pre + post", where), result["pre_and_post"]["times_ms"]
    for result in report.get("streams", []):
        where = f"{result['title']}, {result['videos']}"
        yield (
            ("videos to video, a frame", where),
            [1e3 * run["seconds"] / run["frames"] for run in result["runs"]],
        )


def _size(result: dict[str, Any]) -> str:
    return "x".join(map(str, result["size"]))
