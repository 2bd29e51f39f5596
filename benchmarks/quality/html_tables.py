"""The tables of the page, which can be sorted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from refusion.benchmarks.quality.intervals import GOALS
from refusion.benchmarks.quality.tables import number
from refusion.metrics import METRICS, SEQUENCE_METRICS, Metric

_Result = dict[str, Any]


@dataclass(frozen=True)
class Cell:
    """A cell of a table."""

    text: str
    value: float | None = None
    """What it is sorted by; None: the text."""
    below: str = ""
    """Small print."""
    is_best: bool = False

    def html(self) -> str:
        """Return its element."""
        kinds = (["number"] if self.value is not None else []) + (["best"] if self.is_best else [])
        kind = f' class="{" ".join(kinds)}"' if kinds else ""
        value = f' data-value="{self.value!r}"' if self.value is not None else ""
        below = f"<small>{escape(self.below)}</small>" if self.below else ""
        return f"<td{kind}{value}>{escape(self.text)}{below}</td>"


def rows_html(rows: Iterable[Sequence[Cell]]) -> str:
    """Return the rows of a table."""
    return "\n".join(f"<tr>{''.join(cell.html() for cell in row)}</tr>" for row in rows)


def means_table(results: Sequence[_Result]) -> str:
    """Return the means of one set, each with its interval."""
    best = {name: max(one["means"][name] for one in results) for name in GOALS}
    rows = []
    for one in results:
        cells = [Cell(one["method"]), Cell(one["kind"])]
        for name in METRICS:
            value = one["means"][name]
            low, high = one["intervals_95"][name]
            interval = f"{number(low)} – {number(high)}"
            cells.append(Cell(number(value), value, interval, is_best=value == best.get(name)))
        rows.append(cells)
    return _table(("method", "kind"), _titles(METRICS), rows)


def flicker_table(steadiness: Sequence[_Result]) -> str:
    """Return how steady the clips of one set are."""
    best = min(one["excess"] for one in steadiness)
    rows = [
        [
            Cell(one["method"]),
            Cell(one["kind"]),
            Cell(f"{one['flicker']:.3f}", one["flicker"]),
            Cell(f"{one['excess']:.3f}", one["excess"], is_best=one["excess"] == best),
        ]
        for one in steadiness
    ]
    return _table(("method", "kind"), _titles(SEQUENCE_METRICS), rows)


def paired_table(compared: Sequence[_Result]) -> str:
    """Return the differences from one method, pair by pair, of one set."""
    titles = dict.fromkeys(GOALS, f"difference from {compared[0]['against']}")
    rows = [[Cell(one["method"]), *(_difference(one["metrics"][name]) for name in GOALS)] for one in compared]
    return _table(("method",), titles, rows)


def _difference(of_metric: _Result) -> Cell:
    low, high = of_metric["interval_95"]
    below = f"{low:+.3f} – {high:+.3f}; {of_metric['won']} of {of_metric['pairs']}"
    return Cell(f"{of_metric['difference']:+.3f}", of_metric["difference"], below, is_best=low > 0)


def _titles(metrics: Mapping[str, Metric]) -> dict[str, str]:
    return {metric.name: f"{metric.meaning}; {metric.reading}" for metric in metrics.values()}


def _table(names: Sequence[str], titles: Mapping[str, str], rows: Sequence[Sequence[Cell]]) -> str:
    """Return a table: columns of text, then columns of numbers with what they mean."""
    heads = [f'<th scope="col"><button type="button">{escape(name)}</button></th>' for name in names]
    heads += [
        f'<th scope="col" class="number" title="{escape(title)}">'
        f'<button type="button">{escape(name)}</button></th>'
        for name, title in titles.items()
    ]
    return (
        f'<div class="wide"><table class="sortable"><thead><tr>{"".join(heads)}</tr></thead>'
        f"<tbody>\n{rows_html(rows)}\n</tbody></table></div>"
    )
