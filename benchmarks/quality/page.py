"""The report as one page of HTML that needs nothing else: no network, no framework."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from refusion.benchmarks.quality.html_tables import Cell, flicker_table, means_table, paired_table, rows_html
from refusion.benchmarks.quality.run import QualityRun
from refusion.benchmarks.quality.sets import EvaluationSet
from refusion.benchmarks.quality.tables import check_lines, skipped_lines
from refusion.metrics import METRICS, SEQUENCE_METRICS

STATIC = Path(__file__).parent / "static"


@dataclass(frozen=True)
class SetPictures:
    """The pictures of one set."""

    sheet: bytes
    """JPEG."""
    plot: bytes
    """PNG, as is the other one."""
    flicker: bytes | None = None


def page(run: QualityRun, report: dict[str, Any], pictures: Mapping[str, SetPictures], pairs: str) -> str:
    """Return the page.

    Args:
        run: What was measured.
        report: The same as JSON holds it.
        pictures: Of the sets, by name.
        pairs: Every pair's metrics, CSV; it can be downloaded from the page.
    """
    shown = [data for data in run.sets if data.name in pictures]
    template = Template((STATIC / "report.html").read_text(encoding="utf-8"))
    return template.substitute(
        style=(STATIC / "report.css").read_text(encoding="utf-8"),
        script=(STATIC / "report.js").read_text(encoding="utf-8"),
        summary=_summary(report),
        navigation="".join(f'<a href="#{escape(data.name)}">{escape(data.title)}</a>' for data in shown),
        metrics=_metrics(),
        sets="\n".join(_section(data, report, pictures[data.name]) for data in shown),
        pairs=_data_uri("text/csv", pairs.encode()),
        report=_data_uri("application/json", json.dumps(report, indent=1).encode()),
        checks=_list("Known figures:", check_lines(report)),
        skipped=_list("Left out:", skipped_lines(report)),
        facts=_facts(report),
    )


def _summary(report: dict[str, Any]) -> str:
    facts = report["facts"]
    methods = dict.fromkeys(one["method"] for one in report["results"])
    return escape(
        f"{len(methods)} methods on {len(report['settings']['sets'])} sets; refusion {facts['refusion']}, "
        f"commit {facts['commit'] or 'unknown'}, {facts['date'][:10]}."
    )


def _metrics() -> str:
    every = (*METRICS.values(), *SEQUENCE_METRICS.values())
    return rows_html(
        [Cell(one.name), Cell(one.meaning), Cell(one.direction.value), Cell(one.reading)] for one in every
    )


def _section(data: EvaluationSet, report: dict[str, Any], pictures: SetPictures) -> str:
    results, steadiness, compared = (
        [one for one in report[part] if one["set"] == data.title] for part in ("results", "video", "paired")
    )
    parts = [
        f'<section id="{escape(data.name)}"><h2>{escape(data.title)}</h2>',
        f'<p class="soft">{escape(_what(data, results[0]["pairs"]))}</p>',
        means_table(results),
    ]
    if steadiness:
        parts.append(flicker_table(steadiness))
    if compared:
        parts.append(_paired(compared))
    parts.append(_sheet(pictures.sheet, data, results[0]["shown"]))
    parts.append(_plot(pictures.plot, f"Metrics of {data.title} by method"))
    if pictures.flicker is not None:
        parts.append(_plot(pictures.flicker, f"Excess flicker of {data.title} by method"))
    return "\n".join((*parts, "</section>"))


def _what(data: EvaluationSet, pairs: int) -> str:
    what = f"{len(data.clips)} clips, {pairs} frames" if data.clips else f"{pairs} pairs"
    return f"{what}, {data.task.value.title}"


def _paired(compared: Sequence[dict[str, Any]]) -> str:
    summary = f"Pair by pair against {compared[0]['against']}: mean difference, its range, pairs won"
    return (
        f"<details><summary>{escape(summary)}</summary>"
        f'<p class="soft">Marked where the whole range is above 0.</p>{paired_table(compared)}</details>'
    )


def _sheet(content: bytes, data: EvaluationSet, shown: Sequence[str]) -> str:
    alternative = f"Sources and results of {data.title}"
    caption = f"Pairs from top to bottom: {', '.join(shown)}. Press the pictures to see them larger."
    return (
        '<figure class="wide"><button type="button" class="zoom" aria-pressed="false">'
        f'<img alt="{escape(alternative)}" src="{_data_uri("image/jpeg", content)}"></button>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _plot(content: bytes, alternative: str) -> str:
    return f'<figure><img alt="{escape(alternative)}" src="{_data_uri("image/png", content)}"></figure>'


def _list(title: str, lines: Sequence[str]) -> str:
    if not lines:
        return ""
    return f"<p>{title}</p><ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


def _facts(report: dict[str, Any]) -> str:
    facts = {**report["facts"], **report["settings"]}
    facts |= {f"data of {one['set']}": one["sha256"] for one in facts.pop("sets")}
    facts |= {
        f"weights of {one['method']}, {one['set']}": one["weights_sha256"]
        for one in report["results"]
        if one["weights_sha256"]
    }
    return rows_html([Cell(str(name)), Cell(_fact(value))] for name, value in facts.items())


def _fact(value: object) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_fact(one)}" for name, one in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
