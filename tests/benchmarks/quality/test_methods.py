"""What each kind of method gives for a pair."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from refusion import Fuser
from refusion.benchmarks.quality.asking import official_method, own_weights
from refusion.benchmarks.quality.classical import Baseline
from refusion.benchmarks.quality.methods import Classical, Kind, Network, Results
from refusion.benchmarks.quality.sets import EvaluationSet, NamedPair
from refusion.errors import InputError, UsageError
from refusion.files import write_image
from refusion.models import Model
from refusion.tasks import Task
from refusion.weights import sha256, shipped_weights


def test_stills_are_fused_as_fuser_does(stills: EvaluationSet) -> None:
    pair = stills.pairs[0].read()
    with Fuser("ivif", model="lite", threads=1) as fuser:
        expected = fuser(pair.a, pair.b)
    with Network("lite", Kind.model, Model.lite, threads=1).opened(stills) as opened:
        np.testing.assert_array_equal(opened.fuse(pair), expected)
    assert (opened.weights_sha256, opened.description) == (sha256(fuser.weights), fuser.description)


def test_clips_have_the_range_of_a_stream(clip: EvaluationSet) -> None:
    frames = list(clip.clips[0].read())
    with Fuser("ivif", model="lite", threads=1) as fuser:
        stream = fuser.stream()
        expected = [stream(frame.a, frame.b) for frame in frames]
    with Network("lite", Kind.model, Model.lite, threads=1).opened(clip) as opened:
        fuse = opened.clip()
        np.testing.assert_array_equal([fuse(frame) for frame in frames], expected)
        # Another clip begins anew.
        np.testing.assert_array_equal(opened.clip()(frames[0]), expected[0])


def test_official_weights_stretch_every_frame_by_itself(clip: EvaluationSet, shared: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    frame = list(clip.clips[0].read())[1]
    method = official_method(shared / "reference/weights", [clip], backend="auto", threads=1)
    with method.opened(clip) as opened:
        np.testing.assert_array_equal(opened.clip()(frame), opened.fuse(frame))
        assert opened.fuse(frame).max() == 255


def test_weights_of_one_file_are_of_one_task(stills: EvaluationSet) -> None:
    path = shipped_weights(Task.ivif).safetensors
    of_other_task = EvaluationSet("mfifb", "MFIFB", Task.mfif, stills.pairs)
    with pytest.raises(UsageError, match="weights of one task, but the sets are of ivif, mfif: choose"):
        own_weights(f"mine={path}", [stills, of_other_task], backend="auto", threads=1)
    method = own_weights(f"mine={path}", [stills], backend="auto", threads=1)
    assert method.refusal(stills) is None
    assert method.refusal(of_other_task) == "there are no such weights for mfif"


def test_classical_results_have_colour_and_even_halves() -> None:
    gray, colour = np.full((2, 2), 11, np.uint8), np.full((2, 2, 3), (30, 20, 10), np.uint8)
    fuse = Classical(Baseline.average)._fuse
    np.testing.assert_array_equal(fuse(NamedPair("x", gray, gray + 1)), np.full((2, 2), 12))
    np.testing.assert_array_equal(fuse(NamedPair("x", gray + 1, gray + 2)), np.full((2, 2), 12))
    blue, green, red = fuse(NamedPair("x", gray, colour))[0, 0]
    assert blue > green > red


@pytest.fixture
def results(tmp_path: Path, stills: EvaluationSet, clip: EvaluationSet) -> Path:
    """A folder of results: copies of the visible pictures, of both sets."""
    folder = tmp_path / "results"
    shutil.copytree(stills.pairs[0].b.parent, folder / "stills")
    (folder / "clips" / "night").mkdir(parents=True)
    for pair in clip.clips[0].read():
        write_image(folder / "clips" / f"{pair.name}.png", pair.b)
    return folder


def named(data: EvaluationSet, name: str) -> EvaluationSet:
    return EvaluationSet(name, name, data.task, data.pairs, data.clips)


def test_results_of_others_by_set_and_name(results: Path, stills: EvaluationSet, clip: EvaluationSet) -> None:
    method = Results("theirs", results, only_set=False)
    pair = stills.pairs[2].read()
    with method.opened(named(stills, "stills")) as opened:
        np.testing.assert_array_equal(opened.fuse(pair), pair.b)
    assert (opened.weights_sha256, opened.description) == (None, None)
    with method.opened(named(clip, "clips")) as opened:
        for frame in clip.clips[0].read():
            np.testing.assert_array_equal(opened.clip()(frame), frame.b)
    assert method.refusal(stills) == "there is no folder own in results"


def test_results_of_a_single_set_may_lie_in_the_folder_itself(results: Path, stills: EvaluationSet) -> None:
    method = Results("theirs", results / "stills", only_set=True)
    assert method.refusal(stills) is None
    with method.opened(stills) as opened:
        assert opened.fuse(stills.pairs[1].read()).shape == (48, 64, 3)


def test_results_that_are_missing_or_of_another_size(
    results: Path, stills: EvaluationSet, clip: EvaluationSet
) -> None:
    method = Results("theirs", results, only_set=False)
    write_image(results / "stills/1.png", np.zeros((24, 32), np.uint8), force=True)
    with (
        method.opened(named(stills, "stills")) as opened,
        pytest.raises(InputError, match=r"1.png is 32x24, its sources are 64x48: results are measured at"),
    ):
        opened.fuse(stills.pairs[1].read())
    (results / "stills/0.png").unlink()
    with pytest.raises(InputError, match="stills has no picture for 1 of 3 pairs of stills, 0 first"):
        method.opened(named(stills, "stills")).__enter__()
    (results / "clips/night/0003.png").unlink()
    with method.opened(named(clip, "clips")) as opened:
        *_, last = clip.clips[0].read()
        with pytest.raises(InputError, match="results has no picture for night/0003 of clips"):
            opened.clip()(last)
