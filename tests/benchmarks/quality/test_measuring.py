"""One method on one set: every pair in order, and clips as sequences."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from refusion.benchmarks.quality.asking import official_method
from refusion.benchmarks.quality.known_figures import TOLERANCE
from refusion.benchmarks.quality.measuring import measure
from refusion.benchmarks.quality.methods import Kind, Opened, VisibleOnly
from refusion.benchmarks.quality.sets import EvaluationSet, NamedPair, own_set
from refusion.errors import InputError
from refusion.files import read_image, write_image
from refusion.frames import Frame
from refusion.metrics import compare_flicker, evaluate
from refusion.tasks import Task

VISIBLE = VisibleOnly()


@dataclass(frozen=True)
class FailsOn:
    """A method that cannot fuse one pair."""

    pair: str
    name: str = "fails"
    kind: Kind = Kind.model

    def refusal(self, data: EvaluationSet) -> str | None:
        return None

    @contextmanager
    def opened(self, data: EvaluationSet) -> Iterator[Opened]:
        yield Opened(self._fuse, lambda: self._fuse)

    def _fuse(self, pair: NamedPair) -> Frame:
        if pair.name == self.pair:
            raise InputError("there is no picture")
        return pair.b


@pytest.mark.parametrize("workers", [1, 3])
def test_every_pair_in_order(stills: EvaluationSet, workers: int) -> None:
    done = []
    measured = measure(
        VISIBLE, stills, show=frozenset("1"), workers=workers, pair_done=lambda: done.append(1)
    )
    pairs = [pair.read() for pair in stills.pairs]
    assert {record.name: record.values for record in measured.records} == {
        pair.name: evaluate(pair.b, pair.a, pair.b) for pair in pairs
    }
    assert [record.name for record in measured.records] == ["0", "1", "2"]
    assert ([shown.pair.name for shown in measured.shown], len(done)) == (["1"], 3)
    assert measured.flicker == {}


def test_a_clip(clip: EvaluationSet) -> None:
    measured = measure(VISIBLE, clip, workers=2)
    frames = list(clip.clips[0].read())
    assert [record.name for record in measured.records] == [frame.name for frame in frames]
    assert measured.records[3].values == evaluate(frames[3].b, frames[3].a, frames[3].b)
    assert measured.flicker == {"night": compare_flicker((frame.b, frame.a, frame.b) for frame in frames)}


@pytest.mark.parametrize("workers", [1, 3])
def test_a_failure_ends_it(stills: EvaluationSet, workers: int) -> None:
    with pytest.raises(InputError, match="pair 1: there is no picture"):
        measure(FailsOn("1"), stills, workers=workers)


def test_a_pair_that_does_not_fit_is_named(stills: EvaluationSet) -> None:
    write_image(stills.pairs[2].b, np.zeros((40, 64), np.uint8), force=True)
    with pytest.raises(InputError, match="pair 2: the sources differ in size: a is 64x48, b is 64x40"):
        measure(VISIBLE, stills)


def test_official_weights_have_the_metrics_of_the_official_picture(shared: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    cases = shared / "reference/cases/IVIF"
    data = own_set(cases / "source1", cases / "source2", Task.ivif, 1)
    method = official_method(shared / "reference/weights", [data], backend="auto", threads=1)
    (record,) = measure(method, data).records
    (pair,) = data.pairs
    official = read_image(cases / "output" / f"{pair.name}_rgb.png")
    expected = evaluate(official, *(read_image(path) for path in (pair.a, pair.b)))
    assert record.values == pytest.approx(expected, rel=TOLERANCE)
