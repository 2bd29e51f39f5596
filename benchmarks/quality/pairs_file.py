"""The metrics of every single pair as CSV."""

from __future__ import annotations

import csv
import io

from refusion.benchmarks.quality.run import QualityRun
from refusion.metrics import METRICS

COLUMNS = ("set", "task", "method", "kind", "pair", *METRICS)


def pairs_csv(run: QualityRun) -> str:
    """Return a line for each pair and method, with a head, all digits kept."""
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in run.results:
        what = (one.data.title, one.data.task.name, one.method, one.kind.value)
        for record in one.records:
            # A name of a file may be no text.
            name = record.name.encode(errors="backslashreplace").decode()
            writer.writerow((*what, name, *(repr(record.values[metric]) for metric in METRICS)))
    return target.getvalue()
