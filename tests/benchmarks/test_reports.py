"""Reports on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from refusion import InputError, OutputError
from refusion.benchmarks.reports import read_report, write_report


def test_reports_come_back_with_a_line_for_each_list_of_numbers(tmp_path: Path) -> None:
    path, report = tmp_path / "r.json", {"format": "x 1", "times_ms": [1.0, 2.5, -3e-9], "names": ["a", "b"]}
    write_report(path, report, force=False)
    assert read_report(path) == read_report(path, of="x 1") == report
    assert ' "times_ms": [1.0, 2.5, -3e-09],' in path.read_text().splitlines()
    with pytest.raises(OutputError, match="is there already"):
        write_report(path, report, force=False)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no report .*r.json"),
        ("{", "cannot be read as JSON"),
        ("[1]", 'it has no "format"'),
        ('{"format": 1}', 'it has no "format"'),
        ('{"format": "x 9"}', "another benchmark's report: its format is 'x 9', not 'x 1'"),
    ],
)
def test_other_files_are_no_reports(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "r.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=message):
        read_report(path, of="x 1")
