"""How sure means are, and which of two methods is better."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from refusion.benchmarks.quality.intervals import GOALS, comparisons, mean_intervals
from refusion.benchmarks.quality.known_figures import KNOWN_SETS, checks
from refusion.benchmarks.quality.measuring import Measured
from refusion.benchmarks.quality.methods import Kind
from refusion.benchmarks.quality.sets import Clip, DataSet, EvaluationSet
from refusion.metrics import METRICS, PairRecord
from refusion.tasks import Task

PAIRS = EvaluationSet("pairs", "Pairs", Task.ivif)
CLIPS = EvaluationSet("clips", "Clips", Task.ivif, clips=(Clip("x", Path("a"), Path("b")),))


def measured(
    method: str, values: Sequence[float], *, kind: Kind = Kind.model, data: EvaluationSet = PAIRS
) -> Measured:
    """One whose metrics are all equal, a value a pair; frames alternate between the clips x and y."""
    names = [f"{'xy'[i % 2]}/{i:04}" if data.clips else str(i) for i in range(len(values))]
    pairs = zip(names, values, strict=True)
    records = tuple(PairRecord(name, dict.fromkeys(METRICS, value)) for name, value in pairs)
    return Measured(data, method, kind, records, ())


def test_an_interval_is_that_of_the_mean() -> None:
    values = np.random.default_rng(1).normal(5, 1, 400)
    low, high = mean_intervals(measured("one", list(values)))["VIF"]
    error = values.std() / np.sqrt(400)
    assert (values.mean() - low) / error == pytest.approx(1.96, abs=0.15)
    assert (high - values.mean()) / error == pytest.approx(1.96, abs=0.15)


def test_methods_are_compared_pair_by_pair_with_the_official_weights() -> None:
    base = np.random.default_rng(1).normal(5, 1, 30)
    ours = measured("ours", list(base + 0.1))
    official = measured("official", list(base), kind=Kind.official)
    average = measured("average", [*base[:29] - 0.1, base[29] + 0.1], kind=Kind.classical)
    better, worse = comparisons([ours, official, average])
    assert (better.method, better.against, better.data) == ("ours", "official", "Pairs")
    assert better.differences.keys() == set(GOALS)
    assert better.differences["SCD"].mean == pytest.approx(0.1)
    assert better.differences["SCD"].interval == pytest.approx((0.1, 0.1))
    assert (better.differences["SCD"].won, better.differences["SCD"].pairs) == (30, 30)
    assert worse.differences["SCD"].won == 1
    assert worse.differences["SCD"].interval.high < 0


def test_without_official_weights_the_first_method_is_the_reference() -> None:
    (compared,) = comparisons([measured("first", [1, 2]), measured("second", [2, 2])])
    assert (compared.method, compared.against) == ("second", "first")
    assert compared.differences["VIF"].won == 1, "a tie is not won"


def test_frames_of_a_clip_are_one_sample() -> None:
    jumping = measured("jumping", [1, 3] * 10, data=CLIPS)
    steady = measured("steady", [2, 2] * 10, data=CLIPS)
    assert mean_intervals(jumping)["EN"] == (1, 3)
    (compared,) = comparisons([steady, jumping])
    assert compared.differences["VIF"].pairs == 2


@pytest.mark.parametrize(
    ("change", "agrees", "largest"), [(1.0, True, 0.0), (1.004, True, 0.004), (0.98, False, -0.02)]
)
def test_known_figures(change: float, agrees: bool, largest: float) -> None:
    known = KNOWN_SETS[0]
    figures = dict(zip(METRICS, known.official, strict=True))
    figures["SCD"] *= change
    official = Measured(PAIRS, "official", Kind.official, (PairRecord("x", figures),), ())
    (check,) = checks([official, measured("full", [1.0])], {"pairs": known.sha256})
    assert (check.data, check.method, check.agrees) == ("Pairs", "official", agrees)
    assert check.difference == pytest.approx(largest, abs=1e-9)
    assert check.metric == "SCD" or change == 1
    assert list(checks([official], {"pairs": "0" * 64})) == []


def test_the_known_sets_are_those_of_the_shared_data(shared: Path) -> None:
    found = [data.below(shared / "data").sha256() for data in (DataSet.tno, DataSet.roadscene)]
    assert found == [known.sha256 for known in KNOWN_SETS]
