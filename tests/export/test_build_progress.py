from __future__ import annotations

import pytest

from refusion.export.build_progress import BuildWatch


@pytest.fixture
def shares() -> list[float | None]:
    return []


@pytest.fixture
def watch(shares: list[float | None]) -> BuildWatch:
    return BuildWatch(lambda fraction, phase: shares.append(fraction))


def test_nested_phases_share_their_parents_step(watch: BuildWatch, shares: list[float | None]) -> None:
    watch.phase_start("root", None, 2)
    watch.phase_start("inner", "root", 2)
    watch.phase_start("innermost", "inner", 5)
    assert watch.step_complete("innermost", 4)
    assert shares[-1] == pytest.approx(0.25)
    watch.phase_finish("innermost")
    watch.step_complete("inner", 0)
    watch.step_complete("inner", 1)
    assert shares[-1] == pytest.approx(0.5)
    watch.phase_finish("inner")
    watch.step_complete("root", 1)
    watch.phase_finish("root")
    assert shares[-1] == 1.0


def test_progress_never_goes_back(watch: BuildWatch, shares: list[float | None]) -> None:
    watch.phase_start("root", None, 1)
    for _ in range(2):
        watch.phase_start("again", "root", 4)
        watch.step_complete("again", 2)
        watch.phase_finish("again")
    assert shares == sorted(shares)  # type: ignore[type-var]
    assert shares[-1] == 0.75


@pytest.mark.parametrize("steps", [0, -1])
def test_odd_reports_do_no_harm(watch: BuildWatch, shares: list[float | None], steps: int) -> None:
    watch.phase_start("root", None, steps)
    assert watch.step_complete("unknown", 3)
    watch.step_complete("root", 7)
    watch.phase_finish("unknown")
    watch.phase_start("orphan", "unknown", 3)
    assert shares[-1] == 1.0


def test_a_stop_is_passed_on_at_the_next_step(watch: BuildWatch) -> None:
    watch.phase_start("root", None, 3)
    assert watch.step_complete("root", 0)
    watch.stop()
    assert not watch.step_complete("root", 1)
