"""The folder of a report: the page, its pictures as files, every pair's metrics, the JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from refusion.benchmarks.quality.page import SetPictures, page
from refusion.benchmarks.quality.pairs_file import pairs_csv
from refusion.benchmarks.quality.pictures import flicker_plot, metrics_plot, require_plots, sheet
from refusion.benchmarks.quality.report_file import as_json
from refusion.benchmarks.quality.run import QualityRun
from refusion.benchmarks.quality.sets import EvaluationSet
from refusion.benchmarks.reports import write_report
from refusion.files import make_folder, refuse_existing, replacing

PAGE, PAIRS, REPORT = "report.html", "pairs.csv", "report.json"


def refuse_folder(folder: Path, sets: Sequence[EvaluationSet], *, force: bool) -> None:
    """Check before anything is measured that a report can be written.

    Raises:
        OutputError: A file of it is there already (without force), or the folder is a file.
        BackendError: matplotlib is not installed.
    """
    require_plots()
    make_folder(folder)
    names = [PAGE, PAIRS, REPORT]
    for data in sets:
        names += [_sheet_name(data), _plot_name(data)] + ([_flicker_name(data)] if data.clips else [])
    for name in names:
        refuse_existing(folder / name, force=force)


def write_folder(folder: Path, run: QualityRun, *, force: bool) -> None:
    """Write the whole report.

    Raises:
        OutputError: A file is there already (without force), or cannot be written.
    """
    pictures = {}
    for data in run.sets:
        results = [one for one in run.results if one.data is data]
        if not results:
            continue
        files = {_sheet_name(data): sheet(results), _plot_name(data): metrics_plot(results)}
        if data.clips:
            files[_flicker_name(data)] = flicker_plot(results)
        for name, content in files.items():
            make_folder((folder / name).parent)
            with replacing(folder / name, force=force) as partial:
                partial.write_bytes(content)
        pictures[data.name] = SetPictures(*files.values())
    pairs, report = pairs_csv(run), as_json(run)
    with replacing(folder / PAIRS, force=force) as partial:
        partial.write_text(pairs, encoding="utf-8")
    write_report(folder / REPORT, report, force=force)
    with replacing(folder / PAGE, force=force) as partial:
        partial.write_text(page(run, report, pictures, pairs), encoding="utf-8")


def _sheet_name(data: EvaluationSet) -> str:
    return f"sheets/{data.name}.jpg"


def _plot_name(data: EvaluationSet) -> str:
    return f"plots/{data.name}.png"


def _flicker_name(data: EvaluationSet) -> str:
    return f"plots/{data.name}-flicker.png"
