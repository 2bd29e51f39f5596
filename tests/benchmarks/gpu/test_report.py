from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from refusion.benchmarks.gpu.report import Closeness, Latency, gpu_facts, table, write_json


def test_percentiles_are_of_measured_times() -> None:
    found = Latency.of([float(ms) for ms in range(1, 201)])
    assert found.p50_ms == 100.5
    assert found.p99_ms == 199.0
    assert found.calls == 200
    assert Latency.of([3.0]) == (3.0, 3.0, 1)


def test_closeness_counts_gray_levels() -> None:
    expected = np.full((10, 10), 0.4, np.float32)
    found = expected.copy()
    assert Closeness.of(found, expected) == (None, 1.0, 0)
    found[0, 0] += 1 / 255
    found[0, 1] -= 2 / 255
    closeness = Closeness.of(found, expected)
    assert closeness.within_1_level == pytest.approx(0.99)
    assert closeness.largest_levels == 2
    assert closeness.psnr_db == pytest.approx(10 * np.log10(255**2 / (5 / 100)))
    found[0, 0] = np.nan
    assert Closeness.of(found, expected) == (0.0, 0.0, 255)


def test_tables_have_a_column_for_every_name() -> None:
    rows = [{"size": "64x48", "ms": 0.123456}, {"size": "1x1", "failed": "no memory"}, {"ms": 12345.6}]
    assert table(rows).splitlines() == [
        "| size | ms | failed |",
        "|---|---|---|",
        "| 64x48 | 0.1235 |  |",
        "| 1x1 |  | no memory |",
        "|  | 12346 |  |",
    ]


def test_a_report_is_json_and_whole_or_absent(tmp_path: Path) -> None:
    path = tmp_path / "network.json"
    write_json(path, {"facts": gpu_facts(), "results": [{"ms": 1.5}]})
    assert json.loads(path.read_text())["results"] == [{"ms": 1.5}]
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"ms": float("nan")})
    assert json.loads(path.read_text())["results"] == [{"ms": 1.5}]
