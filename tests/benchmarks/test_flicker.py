"""Streams are steady with the network that is shipped; the full measurement is the benchmark itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from refusion import Fuser
from refusion.benchmarks import flicker
from refusion.benchmarks.flicker import Steadiness, clip, measure, still_scene
from refusion.benchmarks.reports import read_report

FRAMES = 8


@pytest.fixture(scope="module")
def fuser() -> Iterator[Fuser]:
    with Fuser("ivif", backend="onnxruntime", device="cpu", threads=1) as fuser:
        yield fuser


def by_policy(results: list[Steadiness]) -> dict[str, Steadiness]:
    return {result.policy: result for result in results}


@pytest.mark.parametrize(
    ("scene", "most", "won"),
    # In fog the stretch raises the mean's own noise, of pictures this small.
    [({}, 0.01, 0.1), ({"drift": 0.2}, 0.01, 0.0), ({"fog": True}, 0.03, 0.3)],
    ids=["noise", "drift", "fog"],
)
def test_a_still_scene_is_steady(scene: dict[str, float], most: float, won: float, fuser: Fuser) -> None:
    results = by_policy(measure("still", still_scene(FRAMES, size=(160, 120), **scene), fuser))
    tracked, image = results["tracked"], results["image"]
    assert tracked.excess <= most
    assert image.excess > tracked.excess + won
    assert (tracked.clipped, image.clipped_by_range > 0) == (0, True)


def test_a_lamp_in_fog_is_not_clipped(fuser: Fuser) -> None:
    pairs = still_scene(FRAMES, fog=True, lamp=True, size=(160, 120))
    assert by_policy(measure("lamp", pairs, fuser))["tracked"].clipped == 0


@pytest.mark.parametrize("name", ["0111_1716", "0111_1753", "0114_1551", "0115_1834"])
def test_a_cut_of_a_clip_is_as_steady_as_the_network_makes_it(name: str, shared: Path, fuser: Fuser) -> None:
    cut = np.s_[180:300, 240:400]
    pairs = [(a[cut], b[cut]) for a, b in clip(shared / "data/video" / name, FRAMES)]
    results = by_policy(measure(name, pairs, fuser))
    tracked, plain = results["tracked"], results["off"]
    assert tracked.excess <= max(plain.excess, 0) + 0.01
    assert tracked.clipped == 0


def test_the_command_prints_a_line_for_each_sequence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "flicker.json"
    flicker.main(["--frames", "2", "--size", "64x48", "--threads", "1", "--json", str(report)])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[0] for line in lines[-4:]] == [
        "| still, noise",
        "| still, drift",
        "| still, fog",
        "| still, fog, lamp",
    ]
    assert flicker.report_table(read_report(report)).splitlines() == lines[-6:]
    with pytest.raises(SystemExit):
        flicker.main(["--clips", str(tmp_path)])
    assert "there are no clips in" in capsys.readouterr().err
